'use strict';

// What the SDK tests share: connection strings, devices on each transport, and
// promises for the SDKs' callbacks.

const https = require('node:https');
const { SharedAccessSignature, ConnectionString } = require('azure-iot-common');
const { Client } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { Registry } = require('azure-iothub');

const registry = Registry.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
const host = /HostName=([^;:]+)/.exec(process.env.IOTHUB_CONNECTION_STRING)[1];

// promised calls a function that takes a callback last.
const promised = (object, method, ...args) => new Promise((resolve, reject) => {
  object[method](...args, (err, result) => (err ? reject(err) : resolve(result)));
});

// deviceString is the connection string of a registered device.
async function deviceString(deviceId) {
  const { responseBody: device } = await registry.get(deviceId);
  return `HostName=${host};DeviceId=${deviceId};SharedAccessKey=${device.authentication.symmetricKey.primaryKey}`;
}

// connect opens a device, hands it to use, and closes it whatever happens.
async function connect(deviceId, transport, use) {
  const client = Client.fromConnectionString(await deviceString(deviceId), transport);
  try {
    await client.open();
    return await use(client);
  } finally {
    await client.close();
  }
}

// next resolves with the next event of a name.
const next = (emitter, name) => new Promise((resolve) => {
  emitter.once(name, resolve);
});

// events reads what a device and its modules have sent, from the beginning, until n have come.
function events(deviceId, n) {
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

module.exports = { registry, host, promised, deviceString, connect, next, events, transports: { Mqtt, MqttWs } };
