'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Client } = require('azure-iot-device');
const { registry, host, deviceString, transports } = require('./connect');

test('create, get, update, delete', async () => {
  const { responseBody: made } = await registry.create({ deviceId: 'sdk-pump', status: 'enabled' });
  assert.equal(made.deviceId, 'sdk-pump');
  assert.equal(Buffer.from(made.authentication.symmetricKey.primaryKey, 'base64').length, 32);
  await assert.rejects(registry.create({ deviceId: 'sdk-pump' }), { name: 'DeviceAlreadyExistsError' });

  const { responseBody: got } = await registry.get('sdk-pump');
  assert.deepEqual(got.authentication.symmetricKey, made.authentication.symmetricKey);

  const { responseBody: changed } = await registry.update({ ...got, status: 'disabled', statusReason: 'in repair' });
  assert.equal(changed.statusReason, 'in repair');
  assert.equal(changed.generationId, made.generationId);

  await registry.delete('sdk-pump');
  await assert.rejects(registry.get('sdk-pump'), { name: 'DeviceNotFoundError' });
  await assert.rejects(registry.getTwin('sdk-pump'), { name: 'DeviceNotFoundError' });
});

test('ids with special characters', async () => {
  const deviceId = "a-:.%_*?!(),=@;$'z";
  await registry.create({ deviceId });
  try {
    assert.equal((await registry.get(deviceId)).responseBody.deviceId, deviceId);
    assert.equal((await registry.getTwin(deviceId)).responseBody.deviceId, deviceId);
  } finally {
    await registry.delete(deviceId);
  }
});

test('bulk', async () => {
  const ids = Array.from({ length: 20 }, (_, n) => `sdk-bulk-${n}`);
  const { responseBody: added } = await registry.addDevices(ids.map((deviceId) => ({ deviceId })));
  assert.equal(added.isSuccessful, true);
  const disabled = await registry.updateDevices(ids.map((deviceId) => ({ deviceId, status: 'disabled' })), true);
  assert.equal(disabled.responseBody.isSuccessful, true);
  assert.equal((await registry.get('sdk-bulk-7')).responseBody.status, 'disabled');
  const removed = await registry.removeDevices(ids.map((deviceId) => ({ deviceId })), true);
  assert.equal(removed.responseBody.isSuccessful, true);
});

test('list and statistics', async () => {
  const { responseBody: devices } = await registry.list();
  const { responseBody: counts } = await registry.getRegistryStatistics();
  const own = ['device1', 'device2', 'device3'];
  assert.deepEqual(devices.map((d) => d.deviceId).filter((id) => own.includes(id)), own);
  assert.ok(counts.totalDeviceCount >= own.length);
  assert.equal(counts.totalDeviceCount, counts.enabledDeviceCount + counts.disabledDeviceCount);
});

test('query pages', async () => {
  const query = registry.createQuery("SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, 'device')", 2);
  const pages = [];
  while (query.hasMoreResults) {
    // Without a token, the promise form of next() asks for the first page again.
    pages.push((await query.next(query.continuationToken)).result.map((row) => row.deviceId));
  }
  assert.deepEqual(pages, [['device1', 'device2'], ['device3']]);
});

test('a bad query is refused', async () => {
  await assert.rejects(registry.createQuery('SELECT * FROM devices ORDER BY deviceId').next(), { name: 'ArgumentError' });
});

test('who may not connect', async (t) => {
  const { responseBody: device } = await registry.create({ deviceId: 'sdk-refused' });
  const good = await deviceString('sdk-refused');
  const open = async (connectionString) => {
    const client = Client.fromConnectionString(connectionString, transports.Mqtt);
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    try {
      await client.open();
    } finally {
      await client.close();
    }
  };
  try {
    await open(good);
    await t.test('a wrong key', () => assert.rejects(open(good.replace(/SharedAccessKey=.*/, `SharedAccessKey=${Buffer.alloc(32).toString('base64')}`)), { name: 'UnauthorizedError' }));
    await t.test('an unknown device', () => assert.rejects(open(`HostName=${host};DeviceId=nobody;SharedAccessKey=${device.authentication.symmetricKey.primaryKey}`), { name: 'UnauthorizedError' }));
    await registry.update({ ...device, status: 'disabled' });
    await t.test('a disabled device', () => assert.rejects(open(good), { name: 'UnauthorizedError' }));
  } finally {
    await registry.delete('sdk-refused');
  }
});
