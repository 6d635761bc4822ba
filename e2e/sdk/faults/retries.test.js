'use strict';

// The retry logic of the device SDK against faults that the hub injects.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { test, beforeEach } = require('node:test');
const { Message } = require('azure-iot-device');
const { registry, promised, connect, next, transports } = require('../connect');

const deviceId = 'device1';
const hubtwin = (...args) => execFileSync(process.env.HUBTWIN, args, { encoding: 'utf8' });
const reported = async () => (await registry.getTwin(deviceId)).responseBody.properties.reported;

beforeEach(() => hubtwin('fault', 'clear'));

test('a device that was cut off connects again, and goes on', () => connect(deviceId, transports.Mqtt, async (client) => {
  const twin = await client.getTwin();
  const gone = next(client, 'disconnect').catch(() => {});
  assert.match(hubtwin('fault', 'disconnect', deviceId), /was cut off/);
  await Promise.race([gone, new Promise((resolve) => { setTimeout(resolve, 2000); })]);
  await promised(twin.properties.reported, 'update', { after: 'cut' });
  assert.equal((await reported()).after, 'cut');
}));

test('the hub is away for three attempts: the SDK goes on trying', () => connect(deviceId, transports.Mqtt, async (client) => {
  await client.getTwin();
  hubtwin('fault', 'refuse', '--device', deviceId, '--connack', '3', '--count', '3');
  hubtwin('fault', 'disconnect', deviceId);
  await client.sendEvent(new Message('still here'));
  assert.doesNotMatch(hubtwin('fault', 'list'), /fail 503001/, 'all three attempts were refused');
}));

test('reports that are throttled reach the app as errors, or are tried again', () => connect(deviceId, transports.Mqtt, async (client) => {
  const twin = await client.getTwin();
  hubtwin('fault', 'throttle', '--operation', 'report', '--device', deviceId, '--count', '2');
  let tries = 0;
  for (let done = false; !done;) {
    tries += 1;
    done = await promised(twin.properties.reported, 'update', { throttled: true }).then(() => true, () => false);
  }
  assert.ok(tries <= 3, `${tries} tries`);
  assert.equal((await reported()).throttled, true);
  assert.doesNotMatch(hubtwin('fault', 'list'), /429001/);
}));

test('the back end is throttled: its SDK says so, and the next attempts count', async () => {
  hubtwin('fault', 'throttle', '--operation', 'https', '--path', '/twins/', '--count', '2');
  for (let n = 0; n < 2; n += 1) await assert.rejects(registry.getTwin(deviceId), { name: 'ThrottlingError' });
  await registry.getTwin(deviceId);
  assert.doesNotMatch(hubtwin('fault', 'list'), /429001/);
});

test('the device orders its own fault, as the tests of the SDK do', () => connect(deviceId, transports.Mqtt, async (client) => {
  const twin = await client.getTwin();
  const order = new Message('');
  order.properties.add('AzIoTHub_FaultOperationType', 'KillTcp');
  order.properties.add('AzIoTHub_FaultOperationCloseReason', ' severs the TCP connection ');
  order.properties.add('AzIoTHub_FaultOperationDelayInSecs', '1');
  await client.sendEvent(order);
  await new Promise((resolve) => { setTimeout(resolve, 1500); });
  await promised(twin.properties.reported, 'update', { after: 'KillTcp' });
  assert.equal((await reported()).after, 'KillTcp');
}));
