'use strict';

// The back-end app: it tags a device with its location, then asks which devices
// are in that plant, and which of those are on a cellular connection.

const { Registry } = require('azure-iothub');

const registry = Registry.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
const deviceId = process.argv[2] || 'device1';

async function find(what, condition) {
  const query = registry.createQuery(`SELECT * FROM devices WHERE ${condition}`, 100);
  const found = [];
  while (query.hasMoreResults) {
    const page = await query.nextAsTwin();
    found.push(...page.result.map((twin) => twin.deviceId));
  }
  console.log(`${what}: ${found.join(', ') || '(none)'}`);
}

async function main() {
  const { responseBody: twin } = await registry.getTwin(deviceId);
  await twin.update({ tags: { location: { region: 'US', plant: 'Redmond43' } } });

  await find('in Redmond43', "tags.location.plant = 'Redmond43'");
  await find('in Redmond43 on cellular',
    "tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'");
}

main().catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
