import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { KVM_CPUID_FEATURES, KVM_CPUID_SIGNATURE, KVM_SIGNATURE } from '../../../src/abi/cpuid.ts';
import { MSR_IA32_TSC, MSR_KVM_SYSTEM_TIME_NEW } from '../../../src/abi/msr.ts';
import { openKvm } from '../../../src/machine/kvm/kvm.ts';
import { isUnavailable } from '../../../src/machine/sys.ts';
import { unprivileged } from '../../unprivileged.ts';
import { held, kvmTest, realKvm } from './real-kvm.ts';

const MEMORY = 1 << 20;

function reasonFor(device: string): string {
  const answer = openKvm(device);
  assert.ok(isUnavailable(answer));
  return answer.unavailable;
}

test('openKvm() says on one line that there is no device', () => {
  assert.match(reasonFor('/dev/no-such-kvm'), /^\/dev\/no-such-kvm does not exist: [^\n]+$/);
});

test('openKvm() says on one line that the device may not be opened', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-'));
  try {
    const file = path.join(folder, 'kvm');
    writeFileSync(file, '');
    chmodSync(file, 0);
    const reason = await unprivileged(() => reasonFor(file));
    assert.match(reason, /may not be opened \(EACCES\): [^\n]+$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('openKvm() says on one line that the file is no KVM device, and leaves no descriptor', () => {
  reasonFor('/dev/null');
  const before = held();
  assert.match(reasonFor('/dev/null'), /^\/dev\/null is not KVM's device: KVM_GET_API_VERSION: ENOTTY$/);
  assert.deepEqual(held(), before);
});

kvmTest('Kvm.lacking() names what is missing', () => {
  using kvm = realKvm();
  assert.equal(kvm.lacking(['KVM_CAP_USER_MEMORY']), undefined);
  kvm.capability = (name) => (name === 'KVM_CAP_IRQCHIP' ? 0 : 1);
  assert.match(kvm.lacking(['KVM_CAP_USER_MEMORY', 'KVM_CAP_IRQCHIP'])!.unavailable, /lacks KVM_CAP_IRQCHIP: /);
});

kvmTest('Kvm.supportedCpuid() has the leaves by which KVM is found', () => {
  using kvm = realKvm();
  const leaves = kvm.supportedCpuid();
  const signature = leaves.find((leaf) => leaf.function === KVM_CPUID_SIGNATURE)!;
  assert.deepEqual([signature.ebx, signature.ecx, signature.edx], [...KVM_SIGNATURE]);
  assert.ok(leaves.some((leaf) => leaf.function === KVM_CPUID_FEATURES));
});

kvmTest('Vm.createVcpu() throws the name of the ioctl and of the errno', () => {
  using kvm = realKvm();
  using vm = kvm.createVm(MEMORY);
  vm.createVcpu();
  vm.vcpus.length = 0; // so that it asks for number 0 again
  assert.throws(() => vm.createVcpu(), { name: 'SystemCallError', message: 'KVM_CREATE_VCPU: EEXIST', code: 'EEXIST' });
});

kvmTest('Vm refuses memory that is no positive multiple of a page', () => {
  using kvm = realKvm();
  const before = held();
  for (const bytes of [MEMORY + 1, 0, -4096, 4096.5, Number.NaN]) {
    assert.throws(() => kvm.createVm(bytes), { message: new RegExp(`positive multiple of 4096 bytes, got ${bytes}$`) });
  }
  assert.deepEqual(held(), before);
});

kvmTest('Kvm.createVm() leaves no mapping where there can be no VM', () => {
  const kvm = realKvm();
  kvm.close();
  const before = held();
  assert.throws(() => kvm.createVm(MEMORY), /KVM_CREATE_VM: the system descriptor is closed/);
  assert.deepEqual(held(), before);
});

kvmTest('Kvm.createVm() throws, and leaves nothing, where there is more memory than KVM takes', () => {
  using kvm = realKvm();
  const before = held();
  assert.throws(
    () => kvm.createVm(2 ** 44),
    /^SystemCallError: (KVM_SET_USER_MEMORY_REGION: EINVAL|mmap of guest memory)/,
  );
  assert.deepEqual(held(), before);
});

kvmTest('Vm.setClock() moves the clock that Vm.getClock() reads, and refuses an unknown flag', () => {
  using kvm = realKvm();
  using vm = kvm.createVm(MEMORY);
  vm.createVcpu();
  const clock = 3_600_000_000_000n;
  vm.setClock({ clock });
  const after = vm.getClock().clock;
  assert.ok(after >= clock && after < clock + 60_000_000_000n, `${after}`);
  assert.throws(() => vm.setClock({ clock, flags: 1 }), { message: 'KVM_SET_CLOCK: EINVAL' });
});

kvmTest('Vcpu keeps the registers and MSRs that it is given, and takes a TSC offset', () => {
  using kvm = realKvm();
  using vm = kvm.createVm(MEMORY);
  const vcpu = vm.createVcpu();
  const regs = { ...vcpu.regs(), rax: 0xfedc_ba98_7654_3210n, r15: 15n, rip: 0x1000n };
  vcpu.setRegs(regs);
  assert.deepEqual(vcpu.regs(), regs);
  const sregs = vcpu.sregs();
  vcpu.setSregs({ ...sregs, gdtBase: 0x2000n, gdtLimit: 0x7f, ds: { ...sregs.ds, base: 0x120n, selector: 0x12 } });
  assert.deepEqual(
    [vcpu.sregs().gdtBase, vcpu.sregs().gdtLimit, vcpu.sregs().ds.base, vcpu.sregs().ds.selector],
    [0x2000n, 0x7f, 0x120n, 0x12],
  );
  vcpu.setMsr(MSR_KVM_SYSTEM_TIME_NEW, 0x3001n);
  assert.equal(vcpu.msr(MSR_KVM_SYSTEM_TIME_NEW), 0x3001n);
  vcpu.setTscOffset(1_000_000n);
  assert.ok([1_000_000n, 0n].includes(vcpu.tscOffset()), 'what was set, or nothing on a host that hides offsets');
  assert.ok(vcpu.tscKhz() > 100_000);
  assert.ok(vcpu.msr(MSR_IA32_TSC) > 0n);
});

kvmTest('Vcpu.msr() says which MSR is not there', () => {
  using kvm = realKvm();
  using vm = kvm.createVm(MEMORY);
  const vcpu = vm.createVcpu();
  assert.throws(() => vcpu.msr(0xdeadbeef), /no MSR 0xdeadbeef/);
});

kvmTest('Vcpu.kvmclockCtrl() is refused while no record is enabled', () => {
  using kvm = realKvm();
  using vm = kvm.createVm(MEMORY);
  assert.throws(() => vm.createVcpu().kvmclockCtrl(), { message: 'KVM_KVMCLOCK_CTRL: EINVAL' });
});

kvmTest('GuestMemory.slice() refuses what is outside the memory', () => {
  using kvm = realKvm();
  using vm = kvm.createVm(MEMORY);
  assert.equal(vm.memory.slice(MEMORY - 8, 8).length, 8);
  assert.throws(() => vm.memory.slice(MEMORY - 8, 9), /9 bytes at 0xffff8 do not fit into 0x100000/);
});

kvmTest('Vm.close() leaves no descriptor and no mapping, and its views are gone', () => {
  using kvm = realKvm();
  const before = held();
  const vm = kvm.createVm(MEMORY);
  const vcpu = vm.createVcpu();
  vm.createVcpu();
  assert.equal(held().fds, before.fds + 3);
  vm.close();
  vm.close();
  assert.deepEqual(held(), before);
  assert.throws(() => vm.memory.view, /the VM is closed/);
  assert.throws(() => vcpu.run, /vCPU 0 is closed/);
  assert.throws(() => vcpu.regs(), /KVM_GET_REGS: the vcpu descriptor is closed/);
});
