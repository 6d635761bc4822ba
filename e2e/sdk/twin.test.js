'use strict';

const assert = require('node:assert/strict');
const { test, before, after } = require('node:test');
const { Client } = require('azure-iot-device');
const { SharedAccessKeyAuthenticationProvider } = require('azure-iot-device/dist/sak_authentication_provider');
const { registry, promised, deviceString, connect, next, transports } = require('./connect');

const deviceId = 'sdk-twin';
before(() => registry.create({ deviceId }));
after(() => registry.delete(deviceId));

const serviceTwin = async () => (await registry.getTwin(deviceId)).responseBody;

for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: the device reads, reports and observes`, () => connect(deviceId, transport, async (client) => {
    const twin = await client.getTwin();
    assert.ok(twin.properties.desired.$version >= 1);

    await promised(twin.properties.reported, 'update', { via: name, nested: { a: 1, b: [1, { c: 2 }] } });
    assert.deepEqual((await serviceTwin()).properties.reported.nested, { a: 1, b: [1, { c: 2 }] });
    await promised(twin.properties.reported, 'update', { nested: { a: null } });
    assert.deepEqual((await serviceTwin()).properties.reported.nested, { b: [1, { c: 2 }] });

    // The SDK subscribes when somebody listens, and calls once with what is there.
    const arrived = [];
    await new Promise((resolve, reject) => {
      twin.on('properties.desired', (delta) => {
        arrived.push(delta);
        if (arrived.length === 3) resolve();
      });
      (async () => {
        // The SUBSCRIBE is on its way: a request behind it is answered after it.
        await promised(twin.properties.reported, 'update', { listening: true });
        const service = await serviceTwin();
        await service.update({ properties: { desired: { interval: 30, mode: { fan: 'on' } } } });
        await service.update({ properties: { desired: { interval: null } } });
      })().catch(reject);
    });
    assert.equal(arrived[1].interval, 30);
    assert.equal(arrived[2].interval, null);
    assert.equal(arrived[2].$version, arrived[1].$version + 1);
    assert.deepEqual(twin.properties.desired.mode, { fan: 'on' });
  }));
}

test('the connection shows in twin and identity', async () => {
  await connect(deviceId, transports.Mqtt, async (client) => {
    await client.getTwin();
    const twin = await serviceTwin();
    assert.equal(twin.connectionState, 'Connected');
    assert.match(twin.lastActivityTime, /^20/);
    assert.equal((await registry.get(deviceId)).responseBody.connectionState, 'Connected');
  });
  for (let state = 'Connected'; state !== 'Disconnected';) {
    state = (await registry.get(deviceId)).responseBody.connectionState;
  }
});

test('a refused report is an Error, and the process lives on', () => connect(deviceId, transports.Mqtt, async (client) => {
  const twin = await client.getTwin();
  await assert.rejects(promised(twin.properties.reported, 'update', { 'a.b': 1 }), /a\.b/);
  await assert.rejects(promised(twin.properties.reported, 'update', { text: 'x'.repeat(4097) }), /text/);
  await promised(twin.properties.reported, 'update', { still: 'here' });
}));

test('after a token renewal the subscriptions are still there (R1)', async () => {
  const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(await deviceString(deviceId), 6, 3);
  const client = Client.fromAuthenticationProvider(provider, transports.Mqtt);
  try {
    await client.open();
    const twin = await client.getTwin();
    const renewed = new Promise((resolve) => {
      twin.on('properties.desired', (delta) => delta.renewed && resolve(delta));
    });
    await promised(twin.properties.reported, 'update', { listening: true });
    // The SDK disconnects and connects again with a fresh token, and subscribes to nothing.
    await next(provider, 'newTokenAvailable');
    await promised(twin.properties.reported, 'update', { after: 'renewal' });
    await (await serviceTwin()).update({ properties: { desired: { renewed: 1 } } });
    assert.equal((await renewed).renewed, 1);
  } finally {
    await client.close();
  }
});

test('twin.update honours etags', async () => {
  const stale = await serviceTwin();
  await (await serviceTwin()).update({ tags: { n: 1 } });
  await assert.rejects(registry.updateTwin(deviceId, { tags: { n: 2 } }, stale.etag), { name: 'InvalidEtagError' });
  await registry.updateTwin(deviceId, { tags: { n: 3 } }, '*');
  assert.equal((await serviceTwin()).tags.n, 3);
});

test('numbers come back as they were written', async () => {
  await (await serviceTwin()).update({ properties: { desired: { big: 4503599627370495, small: -0.5, whole: 3 } } });
  const { properties: { desired } } = await serviceTwin();
  assert.deepEqual([desired.big, desired.small, desired.whole], [4503599627370495, -0.5, 3]);
});
