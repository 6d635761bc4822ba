'use strict';

// The simulated device: it connects over MQTT, reads its twin, and reports how
// it is connected.

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const device = Client.fromConnectionString(process.env.IOTHUB_DEVICE_CONNECTION_STRING, Mqtt);

async function main() {
  await device.open();
  const twin = await device.getTwin();
  await new Promise((resolve, reject) => {
    twin.properties.reported.update({ connectivity: { type: 'cellular' } },
      (err) => (err ? reject(err) : resolve()));
  });
  console.log(`reported connectivity: ${twin.properties.reported.connectivity.type}`);
  await device.close();
}

main().catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
