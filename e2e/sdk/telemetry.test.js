'use strict';

const assert = require('node:assert/strict');
const { test, before, after } = require('node:test');
const { Message } = require('azure-iot-common');
const { Client } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { registry, promised, deviceString, connect, events, transports } = require('./connect');

const deviceId = 'sdk-telemetry';
before(() => registry.create({ deviceId }));
after(() => registry.delete(deviceId));

let sent = 0;
for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: telemetry with its properties`, () => connect(deviceId, transport, async (client) => {
    const message = new Message(JSON.stringify({ via: name, temperature: 21.5 }));
    message.messageId = `id/${name}`;
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    message.properties.add('a b', 'c&d=é');
    await promised(client, 'sendEvent', message);
    await promised(client, 'sendEvent', new Message('plain'));
    sent += 2;
    const [told, plain] = (await events(deviceId, sent)).slice(-2);
    assert.deepEqual(told.Body, { via: name, temperature: 21.5 });
    assert.equal(told.SystemProperties.messageId, `id/${name}`);
    assert.equal(told.SystemProperties.connectionDeviceId, deviceId);
    assert.deepEqual(told.Properties, { 'a b': 'c&d=é' });
    assert.equal(Buffer.from(plain.Body, 'base64').toString(), 'plain');
    assert.ok(plain.sequenceNumber > told.sequenceNumber);
  }));
}

test('HTTPS: one message, and a batch', async () => {
  const client = Client.fromConnectionString(await deviceString(deviceId), Http);
  try {
    const message = new Message('one');
    message.properties.add('k', 'v');
    await promised(client, 'sendEvent', message);
    await promised(client, 'sendEventBatch', [new Message('two'), new Message('three')]);
  } finally {
    await client.close();
  }
  sent += 3;
  const list = (await events(deviceId, sent)).slice(-3);
  assert.deepEqual(list.map((e) => Buffer.from(e.Body, 'base64').toString()), ['one', 'two', 'three']);
  assert.deepEqual(list[0].Properties, { k: 'v' });
});
