'use strict';

// A device that proves itself by a certificate and sends one message:
//
//   node send-with-certificate.js DEVICE [NAME]
//
// NAME.pem and NAME.key are its certificate and key, DEVICE.pem and DEVICE.key
// without a NAME.

const fs = require('node:fs');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const [deviceId, name = deviceId] = process.argv.slice(2);
const [host] = process.env.IOTHUB_DEVICE_CONNECTION_STRING.split(';');

const device = Client.fromConnectionString(`${host};DeviceId=${deviceId};x509=true`, Mqtt);
device.setOptions({
  cert: fs.readFileSync(`${name}.pem`, 'utf8'),
  key: fs.readFileSync(`${name}.key`, 'utf8'),
});

async function main() {
  await device.open();
  await device.sendEvent(new Message(JSON.stringify({ temperature: 21 })));
  console.log(`the hub has the message of ${deviceId}`);
  await device.close();
}

main().catch((err) => {
  console.error(`${deviceId} with ${name}.pem: ${err.name}`);
  process.exitCode = 1;
});
