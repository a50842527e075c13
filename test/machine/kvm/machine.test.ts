import assert from 'node:assert/strict';
import { runImage } from '../../../src/machine/kvm/machine.ts';
import { type BootImageOptions, bootImage, elf32, FAILED } from './boot-image.ts';
import { held, kvmTest, realKvm } from './real-kvm.ts';

const MEMORY = 4 << 20;
const now = (): number => Math.floor(Date.now() / 1000);

async function run(
  image: Partial<BootImageOptions> | Uint8Array,
  options: { flavour?: 'kvmclock'; vcpus?: number; memoryBytes?: number; timeoutMs?: number } = {},
) {
  using kvm = realKvm();
  let serial = '';
  const bytes = image instanceof Uint8Array ? image : bootImage({ hostSeconds: now(), reads: 300, ...image });
  const value = await runImage(kvm, {
    image: bytes,
    vcpus: 2,
    memoryBytes: MEMORY,
    commandLine: 'boot',
    timeoutMs: 20_000,
    ...options,
    print: (text) => {
      serial += Buffer.from(text).toString();
    },
  });
  return { value, serial };
}

kvmTest(
  "runImage() runs an image on two vCPUs, its clock kept by KVM: monotonic, its wall clock the host's",
  async () => {
    assert.deepEqual(await run({}), { value: 0, serial: 'PASS\n' });
  },
);

kvmTest("runImage() runs the same image, its clock kept by us: monotonic, its wall clock the host's", async () => {
  assert.deepEqual(await run({}, { flavour: 'kvmclock' }), { value: 0, serial: 'PASS\n' });
});

for (const flavour of [undefined, 'kvmclock'] as const) {
  kvmTest(`runImage() hands on what the image finds wrong, its clock kept by ${flavour ?? 'KVM'}`, async () => {
    const wrong = await run({ hostSeconds: now() - 3600 }, flavour === undefined ? {} : { flavour });
    assert.deepEqual(wrong, { value: FAILED.wall, serial: 'FAIL\n' });
  });
}

kvmTest('runImage() tells the image by fw_cfg how many vCPUs it has', async () => {
  assert.deepEqual(await run({ cpus: 3 }), { value: FAILED.cpus, serial: 'FAIL\n' });
});

kvmTest('runImage() ends a guest that hangs, and leaves nothing behind', async () => {
  const hang = () =>
    assert.rejects(run({ instead: 'hang' }, { timeoutMs: 300 }), /did not come out of the guest within 300 ms/);
  await hang(); // what the first Worker and the first signal handler keep for the process
  const before = held();
  await hang();
  assert.deepEqual(held(), before);
});

kvmTest('runImage() says that a guest had a triple fault', async () => {
  await assert.rejects(run({ instead: 'fault' }), /ended without a status: vCPU 0 had a triple fault/);
});

kvmTest('runImage() refuses an image that does not fit, with what it needs', async () => {
  const far = elf32(0x100000, [
    { at: 0x500000, bytes: bootImage({ hostSeconds: 0, reads: 1 }).subarray(0x1000, 0x2000) },
  ]);
  await assert.rejects(run(far), {
    name: 'ImageError',
    message: /segment 0 ends outside the guest's memory: it needs 6 MiB/,
  });
});
