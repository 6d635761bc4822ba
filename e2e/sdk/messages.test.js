'use strict';

const assert = require('node:assert/strict');
const { test, before, after } = require('node:test');
const { Client } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { registry, promised, deviceString, connect, call, transports } = require('./connect');

const deviceId = 'sdk-messages';
before(() => registry.create({ deviceId }));
after(() => registry.delete(deviceId));

// The service SDK sends messages over AMQP only.
async function send(body, headers = {}) {
  const { status } = await call('POST', `/devices/${deviceId}/messages/deviceBound`, headers, body);
  assert.equal(status, 204);
}

const waiting = async () => (await registry.get(deviceId)).responseBody.cloudToDeviceMessageCount;

// feedback gives the records of the next message of feedback, and completes it.
async function feedback() {
  for (;;) {
    const { status, headers, text } = await call('GET', '/messages/serviceBound/feedback');
    if (status === 200) {
      const token = headers.etag.replaceAll('"', '');
      assert.equal((await call('DELETE', `/messages/serviceBound/feedback/${token}`)).status, 204);
      return JSON.parse(text);
    }
    assert.equal(status, 204);
    await new Promise((resolve) => { setTimeout(resolve, 500); });
  }
}

// inbox collects messages, and gives them one by one. The SDK unsubscribes when
// the last listener goes, and does not notice that another one has come meanwhile.
function inbox(client) {
  const arrived = [];
  const wanted = [];
  client.on('message', (message) => (wanted.length > 0 ? wanted.shift()(message) : arrived.push(message)));
  return () => new Promise((resolve) => (arrived.length > 0 ? resolve(arrived.shift()) : wanted.push(resolve)));
}

for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: a message that waited and one that did not`, async () => {
    await send('{"waited":true}', { 'iothub-messageid': 'm1', 'iothub-app-level': 'high & dry', 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8' });
    await connect(deviceId, transport, async (client) => {
      const message = inbox(client);
      const waited = await message();
      assert.equal(waited.getData().toString(), '{"waited":true}');
      assert.equal(waited.messageId, 'm1');
      assert.equal(waited.properties.getValue('level'), 'high & dry');
      await promised(client, 'complete', waited);
      await send('now');
      assert.equal((await message()).getData().toString(), 'now');
      // MQTT has no way to say these two.
      for (const outcome of ['reject', 'abandon']) {
        assert.throws(() => client[outcome](waited, () => {}), { name: 'NotImplementedError' });
      }
    });
    assert.equal(await waiting(), 0);
  });
}

test('HTTPS: complete and abandon and reject', async () => {
  const client = Client.fromConnectionString(await deviceString(deviceId), Http);
  await promised(client, 'setOptions', { http: { receivePolicy: { interval: 1 } } });
  const message = inbox(client);
  try {
    for (const id of ['m1', 'm2']) {
      await send(`body of ${id}`, { 'iothub-messageid': id, 'iothub-ack': 'full' });
    }
    let first = await message();
    assert.equal(first.messageId, 'm1');
    await promised(client, 'abandon', first);
    first = await message();
    assert.equal(first.messageId, 'm1');
    assert.equal(first.getData().toString(), 'body of m1');
    await promised(client, 'complete', first);
    await assert.rejects(promised(client, 'complete', first));
    const second = await message();
    assert.equal(second.messageId, 'm2');
    await promised(client, 'reject', second);
    assert.equal(await waiting(), 0);
  } finally {
    await client.close();
  }
  const records = [];
  while (records.length < 2) records.push(...await feedback());
  assert.deepEqual(records.map((r) => [r.originalMessageId, r.statusCode]), [['m1', 'Success'], ['m2', 'Rejected']]);
});
