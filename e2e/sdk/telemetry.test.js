'use strict';

const assert = require('node:assert/strict');
const https = require('node:https');
const { test, before, after } = require('node:test');
const { Message, SharedAccessSignature, ConnectionString } = require('azure-iot-common');
const { Client } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { registry, promised, deviceString, connect, transports } = require('./connect');

const deviceId = 'sdk-telemetry';
before(() => registry.create({ deviceId }));
after(() => registry.delete(deviceId));

// events reads what the device has sent, from the beginning, until n have come.
function events(n) {
  const service = ConnectionString.parse(process.env.IOTHUB_CONNECTION_STRING);
  const [hostname, port = '443'] = service.HostName.split(':');
  const token = SharedAccessSignature.create(hostname, service.SharedAccessKeyName, service.SharedAccessKey, Math.floor(Date.now() / 1000) + 60);
  return new Promise((resolve, reject) => {
    const request = https.get({
      hostname, port, headers: { Authorization: token.toString() },
      path: `/$hubtwin/events?api-version=2021-04-12&from=start&device=${deviceId}`,
    }, (response) => {
      let text = '';
      response.on('data', (piece) => {
        text += piece;
        const list = text.split('\n').filter((line) => line.startsWith('data: ') && line.endsWith('}'));
        if (list.length < n) return;
        request.destroy();
        resolve(list.map((line) => JSON.parse(line.slice('data: '.length))));
      });
    });
    request.on('error', (err) => { if (!request.destroyed) reject(err); });
  });
}

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
    const [told, plain] = (await events(sent)).slice(-2);
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
  const list = (await events(sent)).slice(-3);
  assert.deepEqual(list.map((e) => Buffer.from(e.Body, 'base64').toString()), ['one', 'two', 'three']);
  assert.deepEqual(list[0].Properties, { k: 'v' });
});
