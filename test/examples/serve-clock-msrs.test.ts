import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exit } from '../../examples/javascript/serve-clock-msrs.ts';
import { MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW } from '../../src/abi/msr.ts';
import '../../tools/from-source.ts';

const { serveClock, toyGuest } = await import('../../examples/javascript/serve-clock-msrs.ts');

test('the toy guest of the example finds a clock that goes on', () => {
  const [first, second] = toyGuest();
  assert.ok(first > 0n && second > first, `${first}, ${second}`);
});

test('the example passes reads through, and makes bad writes and foreign registers fault', () => {
  const exits: Exit[] = [];
  const ask = (reason: Exit['reason'], msr: number, value: bigint) => exits.push({ reason, msr, value, fault: false });
  const { run } = serveClock(new SharedArrayBuffer(65536), 1, () => exits.shift()!);
  ask('wrmsr', MSR_KVM_SYSTEM_TIME_NEW, 4097n);
  assert.equal(run(0).fault, false);
  ask('rdmsr', MSR_KVM_SYSTEM_TIME_NEW, 0n);
  assert.equal(run(0).value, 4097n);
  ask('wrmsr', MSR_KVM_WALL_CLOCK_NEW, 1n);
  assert.equal(run(0).fault, true);
  ask('wrmsr', 0xc000_0080, 0n);
  assert.equal(run(0).fault, true);
});
