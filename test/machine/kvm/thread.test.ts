import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { GuestError, VcpuThread } from '../../../src/machine/kvm/thread.ts';
import { held, kvmTest, realKvm } from './real-kvm.ts';

kvmTest(
  'VcpuThread.run() rejects when the guest is not out by the deadline, and the vCPU can be run again',
  async () => {
    using kvm = realKvm();
    await using guest = await Guest.create(kvm, { vcpus: 1 });
    await assert.rejects(guest.call(0, 'guest_spin', { deadlineMs: 50 }), {
      name: 'GuestError',
      message: 'vCPU 0 did not come out of the guest within 50 ms',
    });
    await assert.rejects(guest.run(0, { deadlineMs: 50 }), /within 50 ms/);
  },
);

kvmTest(
  'VcpuThread.run() takes what came out in time, though the main thread hears of it after the deadline',
  async () => {
    using kvm = realKvm();
    await using guest = await Guest.create(kvm, { vcpus: 1 });
    const at = guest.allocate(8);
    const stored = new BigUint64Array(guest.vm.memory.view.buffer, at, 1);
    await new Promise((resolve) => setImmediate(resolve)); // so that timers come before messages
    const call = guest.call(0, 'guest_store', { first: at, second: 1n, deadlineMs: 1 });
    while (Atomics.load(stored, 0) === 0n); // as a main thread that is busy with something else
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    await call;
  },
);

kvmTest('VcpuThread.run() forgets its deadline when the run is over: the next has its own', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 1 });
  await guest.call(0, 'guest_nothing', { deadlineMs: 50 });
  await assert.rejects(guest.call(0, 'guest_spin', { deadlineMs: 200 }), /did not come out of the guest within 200 ms/);
});

kvmTest('VcpuThread.kick() brings a vCPU out of an endless loop as interrupted', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 1 });
  const [thread] = guest.threads as [VcpuThread];
  await assert.rejects(guest.call(0, 'guest_spin', { deadlineMs: 20 }), GuestError);
  for (let i = 0; i < 300; i++) {
    const out = guest.run(0); // it goes on spinning; the kick finds the thread before, at, or inside KVM_RUN
    if (i % 3 > 0) await new Promise((resolve) => setTimeout(resolve, i % 3));
    thread.kick();
    assert.deepEqual(await out, { reason: 'interrupted' });
  }
});

kvmTest('VcpuThread.run() reports a triple fault, with the place', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 1 });
  const at = guest.address('guest_fault').toString(16);
  await assert.rejects(guest.call(0, 'guest_fault'), {
    name: 'GuestError',
    message: `vCPU 0: guest_fault ended in a triple fault at 0x${at}`,
  });
});

kvmTest('VcpuThread.run() throws the errno where KVM_RUN itself fails', async () => {
  using kvm = realKvm();
  await using thread = await VcpuThread.start(kvm.sys);
  using vm = kvm.createVm(1 << 20);
  const vcpu = vm.createVcpu();
  const elsewhere = {
    id: 0,
    fd: kvm.descriptor.fd,
    runAddress: vcpu.runAddress,
    runBytes: vcpu.runBytes,
    run: vcpu.run,
  };
  await assert.rejects(thread.run(elsewhere as never), { name: 'SystemCallError', message: 'KVM_RUN: EINVAL' });
});

kvmTest('VcpuThread refuses a vCPU that runs elsewhere, and a second one while it runs one', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  const [first, second] = guest.threads as [VcpuThread, VcpuThread];
  const [vcpu0, vcpu1] = guest.vm.vcpus as [never, never];
  const spinning = guest.call(0, 'guest_spin').catch(() => {});
  await assert.rejects(first.run(vcpu1), /still running vCPU 0/);
  await assert.rejects(second.run(vcpu0), /vCPU 0 is running on another thread/);
  assert.throws(() => guest.vm.close(), /vCPU 0 is still in KVM_RUN/);
  await first.stop();
  await spinning;
});

kvmTest('Guest.close() ends guests that never return, and leaves no descriptor and no mapping', async () => {
  using kvm = realKvm();
  const once = async () => {
    const guest = await Guest.create(kvm, { vcpus: 2 });
    const spinning = [0, 1].map((vcpu) => assert.rejects(guest.call(vcpu, 'guest_spin'), /interrupted/));
    await guest.close();
    await Promise.all(spinning);
  };
  await once(); // what the first Worker and the first signal handler keep for the process
  const before = held();
  await once();
  assert.deepEqual(held(), before);
  assert.equal(process.listenerCount('SIGURG'), 0);
});

const SPINNING = `
  import { Guest } from './src/machine/kvm/guest.ts';
  import { openKvm } from './src/machine/kvm/kvm.ts';
  const guest = await Guest.create(openKvm(), { vcpus: 2 });
  guest.call(0, 'guest_spin');
  guest.call(1, 'guest_spin');
  setTimeout(() => { console.log('spinning'); AFTERWARDS }, 20);
`;

/** Runs a process that leaves two vCPUs in endless loops; `afterwards` is what it then does. */
async function spinAnd(afterwards: string, onSpinning: (pid: number) => void = () => {}) {
  const script = SPINNING.replace('AFTERWARDS', afterwards);
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
    {
      cwd: path.join(import.meta.dirname, '../../..'),
      timeout: 20_000,
      killSignal: 'SIGKILL',
    },
  );
  child.stdout.once('data', () => onSpinning(child.pid!));
  return await new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

kvmTest('a process ends at once with vCPUs in endless loops: by process.exit()', async () => {
  assert.deepEqual(await spinAnd('process.exit(7)'), { code: 7, signal: null });
});

kvmTest('a process ends at once with vCPUs in endless loops: by an error that nobody catches', async () => {
  assert.deepEqual(await spinAnd('throw new Error("on purpose")'), { code: 1, signal: null });
});

kvmTest('a process ends at once with vCPUs in endless loops: by Ctrl-C', async () => {
  assert.deepEqual(await spinAnd('', (pid) => process.kill(pid, 'SIGINT')), { code: null, signal: 'SIGINT' });
});

kvmTest('a process ends at once with vCPUs in endless loops: by Ctrl-C that the process handles', async () => {
  const handles = 'process.once("SIGINT", () => process.exit(130)); process.kill(process.pid, "SIGINT")';
  assert.deepEqual(await spinAnd(handles), { code: 130, signal: null });
});
