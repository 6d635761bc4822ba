'use strict';

// A module: the valve of a pump, with a twin and methods of its own. It runs until
// it is stopped. Give its connection string on the command line.

const { ModuleClient } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const valve = ModuleClient.fromConnectionString(process.argv[2], Mqtt);

async function main() {
  await valve.open();

  const twin = await valve.getTwin();
  twin.on('properties.desired.open', (open) => {
    twin.properties.reported.update({ open }, (err) => {
      console.log(err ? err.message : `open: ${open}`);
    });
  });
  valve.onMethod('flush', (request, response) => {
    console.log('flushing');
    response.send(200, { liters: 3 });
  });

  console.log('the valve is there');
}

main().catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
