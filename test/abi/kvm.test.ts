import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CPUID_EXTENDED_FEATURES,
  CPUID_RDTSCP_BIT,
  KVM_CPUID_FEATURES,
  KVM_CPUID_SIGNATURE,
  KVM_SIGNATURE,
} from '../../src/abi/cpuid.ts';
import { io, ior, iow, iowr } from '../../src/abi/ioctl.ts';
import {
  KVM_CLOCK_DATA_BYTES,
  KVM_CLOCK_DATA_LAYOUT,
  KVM_CLOCK_VALID_FLAGS,
  KVM_GET_CLOCK,
  KVM_KVMCLOCK_CTRL,
  KVM_SET_CLOCK,
} from '../../src/abi/kvm-clock-data.ts';
import {
  MSR_IA32_TSC,
  MSR_IA32_TSC_ADJUST,
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
  MSR_KVM_WALL_CLOCK_NEW,
} from '../../src/abi/msr.ts';
import { extentOf } from '../../src/abi/struct.ts';

test('the ioctl numbers of the clock come out as <linux/kvm.h> has them', () => {
  assert.equal(KVM_SET_CLOCK, 0x4030_ae7b);
  assert.equal(KVM_GET_CLOCK, 0x8030_ae7c);
  assert.equal(KVM_KVMCLOCK_CTRL, 0xaead);
});

test('io(), ior(), iow() and iowr() compose direction, size, type and number, unsigned', () => {
  assert.equal(io(0xae, 0x00), 0xae00);
  assert.equal(iow(0xae, 0x46, 32), 0x4020_ae46); // KVM_SET_USER_MEMORY_REGION
  assert.equal(ior(0xae, 0x81, 144), 0x8090_ae81); // KVM_GET_REGS
  assert.equal(iowr(0xae, 0x05, 8), 0xc008_ae05); // KVM_GET_SUPPORTED_CPUID
});

test('kvm_clock_data is 48 bytes, its last 16 padding', () => {
  assert.equal(KVM_CLOCK_DATA_BYTES, 48);
  assert.equal(extentOf(KVM_CLOCK_DATA_LAYOUT), 32);
  assert.deepEqual(
    Object.values(KVM_CLOCK_DATA_LAYOUT).map(([, offset]) => offset),
    [0, 8, 12, 16, 24],
  );
  assert.equal(KVM_CLOCK_VALID_FLAGS, 0xe);
});

test('the CPUID signature spells KVMKVMKVM and three zero bytes', () => {
  const bytes = new Uint8Array(Uint32Array.from(KVM_SIGNATURE).buffer);
  assert.equal(String.fromCharCode(...bytes), 'KVMKVMKVM\0\0\0');
  assert.equal(KVM_CPUID_FEATURES, KVM_CPUID_SIGNATURE + 1);
});

test('the new MSR numbers begin with "KV"', () => {
  assert.deepEqual([MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW], [0x4b56_4d00, 0x4b56_4d01]);
  assert.deepEqual([MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME], [0x11, 0x12]);
});

test("the processor's own numbers are those of its manuals", () => {
  assert.deepEqual([MSR_IA32_TSC, MSR_IA32_TSC_ADJUST], [0x10, 0x3b]);
  assert.deepEqual([CPUID_EXTENDED_FEATURES, CPUID_RDTSCP_BIT], [0x8000_0001, 27]);
});
