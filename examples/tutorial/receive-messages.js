'use strict';

// A device that takes messages, those that came while it was away as well, until
// it is stopped.

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const device = Client.fromConnectionString(process.env.IOTHUB_DEVICE_CONNECTION_STRING, Mqtt);

async function main() {
  await device.open();

  device.on('message', (message) => {
    const priority = message.properties.getValue('priority') || 'normal';
    console.log(`${message.getData()} (${priority})`);
    device.complete(message, (err) => {
      if (err) console.error(err.message);
    });
  });

  console.log('waiting for messages');
}

main().catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
