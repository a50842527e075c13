import assert from 'node:assert/strict';
import test from 'node:test';
import { KVM_CAPABILITIES } from '../../src/abi/kvm-capabilities.ts';
import { KVM_GET_CLOCK, KVM_KVMCLOCK_CTRL, KVM_SET_CLOCK } from '../../src/abi/kvm-clock-data.ts';
import { KVM_IOCTLS, type KvmIoctl } from '../../src/abi/kvm-ioctls.ts';

const KNOWN = {
  KVM_GET_API_VERSION: 0xae00,
  KVM_CREATE_VM: 0xae01,
  KVM_CHECK_EXTENSION: 0xae03,
  KVM_GET_VCPU_MMAP_SIZE: 0xae04,
  KVM_GET_SUPPORTED_CPUID: 0xc008ae05,
  KVM_CREATE_VCPU: 0xae41,
  KVM_SET_USER_MEMORY_REGION: 0x4020ae46,
  KVM_SET_TSS_ADDR: 0xae47,
  KVM_SET_IDENTITY_MAP_ADDR: 0x4008ae48,
  KVM_CREATE_IRQCHIP: 0xae60,
  KVM_CREATE_PIT2: 0x4040ae77,
  KVM_SET_CLOCK: 0x4030ae7b,
  KVM_GET_CLOCK: 0x8030ae7c,
  KVM_ENABLE_CAP: 0x4068aea3,
  KVM_X86_SET_MSR_FILTER: 0x4188aec6,
  KVM_RUN: 0xae80,
  KVM_GET_REGS: 0x8090ae81,
  KVM_SET_REGS: 0x4090ae82,
  KVM_GET_SREGS: 0x8138ae83,
  KVM_SET_SREGS: 0x4138ae84,
  KVM_GET_MSRS: 0xc008ae88,
  KVM_SET_MSRS: 0x4008ae89,
  KVM_SET_CPUID2: 0x4008ae90,
  KVM_GET_MP_STATE: 0x8004ae98,
  KVM_SET_MP_STATE: 0x4004ae99,
  KVM_SET_GUEST_DEBUG: 0x4048ae9b,
  KVM_GET_TSC_KHZ: 0xaea3,
  KVM_KVMCLOCK_CTRL: 0xaead,
  KVM_SET_DEVICE_ATTR: 0x4018aee1,
  KVM_GET_DEVICE_ATTR: 0x4018aee2,
};

const rows: [string, KvmIoctl][] = Object.values(KVM_IOCTLS).flatMap((table) => Object.entries(table));

test('KVM_IOCTLS has the numbers of <linux/kvm.h> for every ioctl, and no others', () => {
  assert.deepEqual(Object.fromEntries(rows.map(([name, { request }]) => [name, request])), KNOWN);
});

test('KVM_IOCTLS agrees with the clock ioctls of kvm-clock-data', () => {
  assert.equal(KVM_IOCTLS.vm.KVM_SET_CLOCK.request, KVM_SET_CLOCK);
  assert.equal(KVM_IOCTLS.vm.KVM_GET_CLOCK.request, KVM_GET_CLOCK);
  assert.equal(KVM_IOCTLS.vcpu.KVM_KVMCLOCK_CTRL.request, KVM_KVMCLOCK_CTRL);
});

test('KVM_IOCTLS names a known capability wherever it names one', () => {
  const needed = rows.flatMap(([, { needs }]) => (needs === undefined ? [] : [needs]));
  assert.ok(needed.length > 10);
  for (const name of needed) assert.ok(name in KVM_CAPABILITIES, name);
});
