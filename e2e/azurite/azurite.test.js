'use strict';

// Devices upload files to a blob store, and jobs read and write there. The store is
// Azurite, with TLS, because the device SDK speaks to it over https only.

const assert = require('node:assert/strict');
const { Readable } = require('node:stream');
const { test, before } = require('node:test');
const {
  BlobServiceClient, StorageSharedKeyCredential, ContainerSASPermissions, generateBlobSASQueryParameters,
} = require('@azure/storage-blob');
const { Client } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { registry, promised, deviceString, connect, transports } = require('../sdk/connect');

const deviceId = 'device1';
const credential = new StorageSharedKeyCredential(process.env.STORAGE_ACCOUNT, process.env.STORAGE_KEY);
const storage = new BlobServiceClient(process.env.STORAGE_ENDPOINT, credential);
const uploads = storage.getContainerClient('uploads');
const jobs = storage.getContainerClient('jobs');
before(() => Promise.all([uploads.create(), jobs.create()]));

const content = async (container, name) => (await container.getBlobClient(name).downloadToBuffer()).toString();

const upload = (client, name, text) => promised(client, 'uploadToBlob', name, Readable.from([Buffer.from(text)]), Buffer.byteLength(text));

test('a device uploads a file over MQTT and HTTPS', async () => {
  await connect(deviceId, transports.Mqtt, (client) => upload(client, 'logs/over mqtt.txt', 'from MQTT'));
  assert.equal(await content(uploads, `${deviceId}/logs/over mqtt.txt`), 'from MQTT');

  const client = Client.fromConnectionString(await deviceString(deviceId), Http);
  try {
    await upload(client, 'http.txt', 'from HTTPS');
  } finally {
    await client.close();
  }
  assert.equal(await content(uploads, `${deviceId}/http.txt`), 'from HTTPS');
});

test('a signature is for one blob only', () => connect(deviceId, transports.Mqtt, async (client) => {
  const info = await promised(client, 'getBlobSharedAccessSignature', 'one.txt');
  const put = (name) => fetch(`https://${info.hostName}/${info.containerName}/${name}${info.sasToken}`, {
    method: 'PUT', headers: { 'x-ms-blob-type': 'BlockBlob' }, body: 'text',
  });
  assert.equal((await put(`${deviceId}/two.txt`)).status, 403);
  assert.equal((await put(info.blobName)).status, 201);
  await promised(client, 'notifyBlobUploadStatus', info.correlationId, true, 200, 'done');
}));

// finished waits for a job to end.
async function finished(job) {
  for (;;) {
    const now = await registry.getJob(job.jobId);
    if (!['enqueued', 'running'].includes(now.status)) return now;
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
}

test('jobs export to a container and import from it', async () => {
  const sas = generateBlobSASQueryParameters({
    containerName: jobs.containerName, permissions: ContainerSASPermissions.parse('rwdl'), expiresOn: new Date(Date.now() + 3600e3),
  }, credential);
  const uri = `${jobs.url}?${sas}`;
  const exported = await finished(await registry.exportDevicesToBlob(uri, false));
  assert.equal(exported.status, 'completed', JSON.stringify(exported));
  const lines = (await content(jobs, 'devices.txt')).trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((line) => line.id), [deviceId, 'device2']);

  await registry.delete('device2');
  const only = lines.slice(1).map((line) => JSON.stringify({ ...line, importMode: 'create' })).join('\n');
  await jobs.getBlockBlobClient('devices.txt').upload(only, Buffer.byteLength(only));
  const imported = await finished(await registry.importDevicesFromBlob(uri, uri));
  assert.equal(imported.status, 'completed', JSON.stringify(imported));
  const { responseBody: device } = await registry.get('device2');
  assert.deepEqual(device.authentication.symmetricKey, lines[1].authentication.symmetricKey);
});
