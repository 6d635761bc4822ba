'use strict';

// A device that takes commands: it answers two methods until it is stopped.

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const device = Client.fromConnectionString(process.env.IOTHUB_DEVICE_CONNECTION_STRING, Mqtt);

async function main() {
  await device.open();

  device.onDeviceMethod('reboot', (request, response) => {
    const { delay } = request.payload || { delay: 0 };
    console.log(`reboot in ${delay} s`);
    response.send(200, { rebooting: true });
  });
  device.onDeviceMethod('openValve', (request, response) => {
    response.send(409, { reason: 'the tank is full' });
  });

  console.log('waiting for commands');
}

main().catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
