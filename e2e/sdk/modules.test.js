'use strict';

const assert = require('node:assert/strict');
const { test, before, after } = require('node:test');
const { Message } = require('azure-iot-common');
const { Client: ServiceClient } = require('azure-iothub');
const { ModuleClient } = require('azure-iot-device');
const { registry, host, promised, next, events, transports } = require('./connect');

const deviceId = 'sdk-modules';
before(() => registry.create({ deviceId }));
after(() => registry.delete(deviceId));

const service = ServiceClient.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);

// create registers a module and gives its connection string.
async function create(moduleId) {
  const { responseBody: module } = await registry.addModule({ deviceId, moduleId });
  return `HostName=${host};DeviceId=${deviceId};ModuleId=${moduleId};SharedAccessKey=${module.authentication.symmetricKey.primaryKey}`;
}

// connect opens a module, hands it to use, and closes it whatever happens.
async function connect(connectionString, transport, use) {
  const client = ModuleClient.fromConnectionString(connectionString, transport);
  try {
    await client.open();
    return await use(client);
  } finally {
    await client.close();
  }
}

const modules = async (id = deviceId) => (await registry.getModulesOnDevice(id)).responseBody.map((m) => m.moduleId);

test('registry: add, get, update, list, remove', async () => {
  const { responseBody: added } = await registry.addModule({ deviceId, moduleId: 'm:1', managedBy: 'me' });
  assert.equal(added.managedBy, 'me');
  await assert.rejects(registry.addModule({ deviceId, moduleId: 'm:1' }), (err) => err.response.statusCode === 409);
  const { responseBody: got } = await registry.getModule(deviceId, 'm:1');
  assert.deepEqual(got.authentication, added.authentication);
  const { responseBody: updated } = await registry.updateModule({ ...got, managedBy: 'you' }, false);
  assert.equal(updated.managedBy, 'you');
  await assert.rejects(registry.updateModule({ ...got, managedBy: 'nobody' }, false), (err) => err.response.statusCode === 412);
  await registry.updateModule({ ...updated, managedBy: null }, true);
  assert.deepEqual(await modules(), ['m:1']);
  await registry.removeModule(deviceId, 'm:1');
  await assert.rejects(registry.getModule(deviceId, 'm:1'), (err) => err.response.statusCode === 404);
  await assert.rejects(registry.addModule({ deviceId: 'sdk-nobody', moduleId: 'm' }), (err) => err.response.statusCode === 404);
});

test('edge devices have the modules of the system', async () => {
  const id = 'sdk-modules-edge';
  await registry.create({ deviceId: id, capabilities: { iotEdge: true } });
  try {
    assert.deepEqual(await modules(id), ['$edgeAgent', '$edgeHub']);
    const { responseBody: twin } = await registry.updateModuleTwin(id, '$edgeAgent', { properties: { desired: { schemaVersion: '1.1' } } }, '*');
    assert.equal(twin.properties.desired.schemaVersion, '1.1');
  } finally {
    await registry.delete(id);
  }
  await assert.rejects(registry.getModuleTwin(id, '$edgeAgent'), { name: 'DeviceNotFoundError' });
});

let sent = 0;
for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: twin, methods and telemetry of a module`, async () => {
    const moduleId = `valve-${name}`;
    await connect(await create(moduleId), transport, async (client) => {
      const twin = await client.getTwin();
      const changed = next(twin, 'properties.desired.open');
      await promised(twin.properties.reported, 'update', { listening: true }); // behind the SUBSCRIBE
      await registry.updateModuleTwin(deviceId, moduleId, { tags: { role: name }, properties: { desired: { open: true } } }, '*');
      assert.equal(await changed, true);
      await promised(twin.properties.reported, 'update', { open: true });
      const query = registry.createQuery(`SELECT * FROM devices.modules WHERE tags.role = '${name}' AND properties.reported.open = true`);
      const { result: rows } = await query.nextAsTwin();
      assert.deepEqual(rows.map((row) => [row.deviceId, row.moduleId, row.connectionState]), [[deviceId, moduleId, 'Connected']]);

      client.onMethod('flush', (request, response) => response.send(200, { got: request.payload }));
      await client.getTwin(); // behind the SUBSCRIBE
      const { result } = await service.invokeDeviceMethod(deviceId, moduleId, { methodName: 'flush', payload: 3 });
      assert.deepEqual(result, { status: 200, payload: { got: 3 } });

      const message = new Message('{"flow":2.5}');
      message.contentType = 'application/json';
      message.contentEncoding = 'utf-8';
      message.properties.add('k', 'v');
      await promised(client, 'sendOutputEvent', 'out1', message);
      await promised(client, 'sendEvent', new Message('plain'));
      sent += 2;
      const [told, plain] = (await events(deviceId, sent)).slice(-2);
      assert.deepEqual(told.Body, { flow: 2.5 });
      assert.equal(told.SystemProperties.connectionModuleId, moduleId);
      assert.equal(told.SystemProperties.outputName, 'out1');
      assert.deepEqual(told.Properties, { k: 'v' });
      assert.equal(plain.SystemProperties.connectionModuleId, moduleId);
    });
  });
}

test('a module calls another one', async () => {
  // The SDK does that through a gateway only; the hub stands for one.
  const [caller, callee] = [`${await create('caller')};GatewayHostName=${host}`, await create('callee')];
  await connect(callee, transports.Mqtt, (answering) => connect(caller, transports.Mqtt, async (calling) => {
    answering.onMethod('add', (request, response) => response.send(200, request.payload.a + request.payload.b));
    await answering.getTwin();
    const answer = await calling.invokeMethod(deviceId, 'callee', { methodName: 'add', payload: { a: 1, b: 2 } });
    assert.deepEqual(answer, { status: 200, payload: 3 });
    await assert.rejects(calling.invokeMethod('sdk-nobody', { methodName: 'add' }));
  }));
});

test('who may not connect', async () => {
  const connectionString = await create('barred');
  await connect(connectionString, transports.Mqtt, (client) => client.getTwin());
  await registry.removeModule(deviceId, 'barred');
  await assert.rejects(connect(connectionString, transports.Mqtt, () => {}), { name: 'UnauthorizedError' });
});
