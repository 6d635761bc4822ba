'use strict';

const assert = require('node:assert/strict');
const { test, before, after } = require('node:test');
const { Client: ServiceClient, DigitalTwinClient, IoTHubTokenCredentials } = require('azure-iothub');
const { Client } = require('azure-iot-device');
const { SharedAccessKeyAuthenticationProvider } = require('azure-iot-device/dist/sak_authentication_provider');
const { registry, deviceString, connect, next, transports } = require('./connect');

const deviceId = 'sdk-methods';
const newDeviceId = 'sdk-methods-new'; // has never subscribed
for (const id of [deviceId, newDeviceId]) {
  before(() => registry.create({ deviceId: id }));
  after(() => registry.delete(id));
}

const service = ServiceClient.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
const invoke = async (params, id = deviceId) => (await service.invokeDeviceMethod(id, params)).result;

// answer lets a device answer a method, and waits until the hub knows: a request
// behind the SUBSCRIBE is answered after it.
async function answer(client, methodName, listener) {
  client.onDeviceMethod(methodName, listener);
  await client.getTwin();
}

for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: a device answers methods`, () => connect(deviceId, transport, async (client) => {
    await answer(client, 'reboot', (request, response) => response.send(200, { got: request.payload }));
    client.onDeviceMethod('thermostat*reset', (request, response) => response.send(418));
    assert.deepEqual(await invoke({ methodName: 'reboot', payload: { delay: 5 }, responseTimeoutInSeconds: 15 }),
      { status: 200, payload: { got: { delay: 5 } } });
    assert.deepEqual(await invoke({ methodName: 'reboot' }), { status: 200, payload: { got: null } });
    assert.deepEqual(await invoke({ methodName: 'thermostat*reset', payload: [1, 'é'] }), { status: 418, payload: null });

    const many = Array.from({ length: 30 }, (_, n) => invoke({ methodName: 'reboot', payload: n }));
    assert.deepEqual((await Promise.all(many)).map((r) => r.payload.got), many.map((_, n) => n));
  }));
}

test('a device that is away, or has not subscribed, is not online', async () => {
  const offline = (err) => JSON.parse(JSON.parse(err.responseBody).Message).errorCode === 404103;
  await assert.rejects(invoke({ methodName: 'reboot' }), offline);
  await connect(newDeviceId, transports.Mqtt, async (client) => {
    await client.getTwin();
    await assert.rejects(invoke({ methodName: 'reboot' }, newDeviceId), offline);
  });
  await assert.rejects(invoke({ methodName: 'reboot' }, 'sdk-nobody'), { message: 'Not found' });
});

test('a call waits for a device to connect', async () => {
  const call = invoke({ methodName: 'hello', connectTimeoutInSeconds: 20, responseTimeoutInSeconds: 20 });
  await connect(deviceId, transports.Mqtt, async (client) => {
    await answer(client, 'hello', (request, response) => response.send(200, 'here'));
    assert.deepEqual(await call, { status: 200, payload: 'here' });
  });
});

test('the SDK hears of a time-out from the hub, before its own clock runs out', () => connect(deviceId, transports.Mqtt, async (client) => {
  await answer(client, 'slow', () => {});
  await assert.rejects(invoke({ methodName: 'slow', responseTimeoutInSeconds: 5 }), { name: 'GatewayTimeoutError' });
}));

test('after a token renewal the device still answers (R1)', async () => {
  const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(await deviceString(deviceId), 6, 3);
  const client = Client.fromAuthenticationProvider(provider, transports.Mqtt);
  try {
    await client.open();
    await answer(client, 'ping', (request, response) => response.send(200, request.payload));
    assert.equal((await invoke({ methodName: 'ping', payload: 1 })).payload, 1);
    // The SDK disconnects and connects again with a fresh token, and subscribes to nothing.
    await next(provider, 'newTokenAvailable');
    await client.getTwin();
    assert.equal((await invoke({ methodName: 'ping', payload: 2 })).payload, 2);
  } finally {
    await client.close();
  }
});

test('digital twin: commands of the device and of a component', () => connect(deviceId, transports.Mqtt, async (client) => {
  await answer(client, 'reboot', (request, response) => response.send(202, { got: request.payload }));
  client.onDeviceMethod('thermostat1*getMaxMin', (request, response) => response.send(200, request.payload));
  const twins = new DigitalTwinClient(new IoTHubTokenCredentials(process.env.IOTHUB_CONNECTION_STRING));
  const reboot = await twins.invokeCommand(deviceId, 'reboot', { delay: 5 }, { connectTimeoutInSeconds: 10 });
  assert.equal(reboot.xMsCommandStatuscode, 202);
  const max = await twins.invokeComponentCommand(deviceId, 'thermostat1', 'getMaxMin', { since: 'now' });
  assert.equal(max.xMsCommandStatuscode, 200);
  await assert.rejects(twins.invokeCommand('sdk-nobody', 'reboot', {}), { statusCode: 404 });
}));
