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

// request begins a request as a back end, for what the service SDK does not do over
// HTTPS.
function request(method, path, headers, answered) {
  const service = ConnectionString.parse(process.env.IOTHUB_CONNECTION_STRING);
  const [hostname, port = '443'] = service.HostName.split(':');
  const token = SharedAccessSignature.create(hostname, service.SharedAccessKeyName, service.SharedAccessKey, Math.floor(Date.now() / 1000) + 60);
  const versioned = `${path}${path.includes('?') ? '&' : '?'}api-version=2021-04-12`;
  return https.request({ hostname, port, method, path: versioned, headers: { Authorization: token.toString(), ...headers } }, answered);
}

// call makes such a request, and resolves with the whole answer.
function call(method, path, headers = {}, body = '') {
  return new Promise((resolve, reject) => {
    request(method, path, headers, (response) => {
      let text = '';
      response.on('data', (piece) => { text += piece; });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    }).on('error', reject).end(body);
  });
}

// events reads what a device and its modules have sent, from the beginning, until n
// have come.
function events(deviceId, n) {
  return new Promise((resolve, reject) => {
    const stream = request('GET', `/$hubtwin/events?from=start&device=${deviceId}`, {}, (response) => {
      let text = '';
      response.on('data', (piece) => {
        text += piece;
        const list = text.split('\n').filter((line) => line.startsWith('data: ') && line.endsWith('}'));
        if (list.length < n) return;
        stream.destroy();
        resolve(list.map((line) => JSON.parse(line.slice('data: '.length))));
      });
    });
    stream.on('error', (err) => { if (!stream.destroyed) reject(err); });
    stream.end();
  });
}

module.exports = { registry, host, promised, deviceString, connect, next, call, events, transports: { Mqtt, MqttWs } };
