import assert from 'node:assert/strict';
import { Guest, startThreads } from '../../../src/machine/kvm/guest.ts';
import { held, kvmTest, realKvm } from './real-kvm.ts';

const VMS = 1_000;
const WARM_UP = 50;
const ALLOWED_GROWTH = 32 * 2 ** 20;

kvmTest(`${VMS} VMs made, run and dropped leave no descriptor, no mapping, and no memory`, async () => {
  using kvm = realKvm();
  const threads = await startThreads(kvm, 2);
  try {
    const once = async (i: number) => {
      const flavour = i % 2 === 0 ? undefined : 'kvmclock';
      await using guest = await Guest.create(kvm, { vcpus: 2, threads, flavour });
      guest.enableRecord(0);
      await guest.call(0, 'guest_nothing');
      await guest.call(1, 'guest_nothing');
      assert.equal(guest.record(0).version % 2, 0);
    };
    for (let i = 0; i < WARM_UP; i++) await once(i);
    const before = { ...held(), rss: process.memoryUsage.rss() };
    for (let i = 0; i < VMS; i++) await once(i);
    const { rss, ...after } = { ...held(), rss: process.memoryUsage.rss() };
    assert.deepEqual(after, { fds: before.fds, mappings: before.mappings });
    assert.ok(rss - before.rss < ALLOWED_GROWTH, `RSS grew by ${(rss - before.rss) / 2 ** 20} MiB`);
  } finally {
    await Promise.all(threads.map((thread) => thread.close()));
  }
});
