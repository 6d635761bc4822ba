'use strict';

// A back end that calls a method of a device and waits for the answer.

const { Client } = require('azure-iothub');

const service = Client.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
const deviceId = process.argv[2] || 'device1';

async function main() {
  const { result } = await service.invokeDeviceMethod(deviceId, {
    methodName: 'reboot',
    payload: { delay: 5 },
    responseTimeoutInSeconds: 10,
    connectTimeoutInSeconds: 5,
  });
  console.log(`${deviceId} says ${result.status}: ${JSON.stringify(result.payload)}`);
}

main().catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
