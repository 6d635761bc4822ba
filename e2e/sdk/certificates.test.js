'use strict';

// Devices that prove themselves by certificates, over each transport.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test, before, after } = require('node:test');
const { Client, Message } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { registry, host, promised, call, transports } = require('./connect');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'certificates-'));
const file = (name) => path.join(dir, name);
const text = (name) => fs.readFileSync(file(name), 'utf8');
const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] }).toString();

const key = (name) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-subj', `/CN=${name}`];

// selfSigned makes NAME.pem and NAME.key, and gives the certificate's thumbprint.
function selfSigned(name, digest) {
  openssl('req', '-x509', ...key(name), '-days', '1', '-out', `${name}.pem`);
  return openssl('x509', '-in', `${name}.pem`, '-noout', '-fingerprint', `-${digest}`).trim().split('=')[1].replaceAll(':', '');
}

// signed makes NAME.pem and NAME.key, signed by the authority BY.
function signed(name, by, extension) {
  openssl('req', '-new', ...key(name), '-out', `${name}.csr`);
  fs.writeFileSync(file('extension'), extension);
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '1', '-extfile', 'extension', '-out', `${name}.pem`);
}

// certificates calls /$hubtwin/certificates/NAME as a back end.
const certificates = async (method, name, body) => (await call(method, `/$hubtwin/certificates/${name}`, {}, body && JSON.stringify(body))).status;

const deviceIds = ['sdk-sha1', 'sdk-sha256', 'sdk-signed', 'sdk-keys'];

before(async () => {
  const x509Thumbprint = (primaryThumbprint) => ({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint } });
  await registry.create({ deviceId: 'sdk-sha1', authentication: x509Thumbprint(selfSigned('sdk-sha1', 'sha1')) });
  await registry.create({ deviceId: 'sdk-sha256', authentication: x509Thumbprint(selfSigned('sdk-sha256', 'sha256')) });
  await registry.create({ deviceId: 'sdk-signed', authentication: { type: 'certificateAuthority' } });
  await registry.create({ deviceId: 'sdk-keys' });
  openssl('req', '-x509', ...key('sdk-root'), '-days', '1', '-out', 'sdk-root.pem');
  signed('sdk-plant', 'sdk-root', 'basicConstraints=critical,CA:TRUE');
  signed('sdk-signed', 'sdk-plant', 'extendedKeyUsage=clientAuth');
  // The device brings the way to the root along.
  fs.appendFileSync(file('sdk-signed.pem'), text('sdk-plant.pem'));
  assert.equal(await certificates('PUT', 'sdk-root', { properties: { certificate: text('sdk-root.pem'), isVerified: true } }), 200);
});

after(async () => {
  for (const deviceId of deviceIds) await registry.delete(deviceId);
  assert.equal(await certificates('DELETE', 'sdk-root'), 204);
  fs.rmSync(dir, { recursive: true });
});

// connectWith opens a device that shows the certificate of another name, or its own.
async function connectWith(deviceId, transport, use, certificate = deviceId) {
  const client = Client.fromConnectionString(`HostName=${host};DeviceId=${deviceId};x509=true`, transport);
  // The options are there at once. Over Http the SDK never calls back to say so.
  client.setOptions({ cert: text(`${certificate}.pem`), key: text(`${certificate}.key`) });
  try {
    await client.open();
    return await use(client);
  } finally {
    await client.close();
  }
}

for (const [name, transport] of Object.entries({ ...transports, Http })) {
  test(`${name}: devices with certificates`, async () => {
    for (const deviceId of ['sdk-sha1', 'sdk-sha256', 'sdk-signed']) {
      await connectWith(deviceId, transport, async (client) => {
        await client.sendEvent(new Message('hello'));
        if (name === 'Http') return; // There are no twins over HTTPS.
        const twin = await client.getTwin();
        await promised(twin.properties.reported, 'update', { by: name });
        assert.equal((await registry.getTwin(deviceId)).responseBody.properties.reported.by, name);
      });
    }
  });

  test(`${name}: certificates of others`, async () => {
    for (const [deviceId, certificate] of [['sdk-sha256', 'sdk-sha1'], ['sdk-signed', 'sdk-sha1'], ['sdk-keys', 'sdk-signed']]) {
      const attempt = connectWith(deviceId, transport, (client) => client.sendEvent(new Message('hello')), certificate);
      await assert.rejects(attempt, { name: 'UnauthorizedError' }, deviceId);
    }
  });
}

test('a disabled authority', async () => {
  assert.equal(await certificates('POST', 'sdk-root/disable'), 200);
  await assert.rejects(connectWith('sdk-signed', transports.Mqtt, () => {}), { name: 'UnauthorizedError' });
  assert.equal(await certificates('POST', 'sdk-root/enable'), 200);
  await connectWith('sdk-signed', transports.Mqtt, () => {});
});
