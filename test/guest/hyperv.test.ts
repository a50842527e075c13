import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HYPERV_TSC_PAGE } from '../../src/abi/hyperv.ts';
import { hypervTime, readHypervPage } from '../../src/guest/hyperv.ts';
import { publishHypervPage } from '../../src/hypervisor/hyperv.ts';
import { pageReader } from './page-cpu.ts';
import { ScriptedCpu } from './scripted-cpu.ts';

const BODY = { tscTimestamp: 2_000n, systemTime: 50_000n, tscToSystemMul: 0x8000_0000, tscShift: 0, flags: 1 };

test('readHypervPage() counts in 100 ns', () => {
  const { guest, host, clock } = pageReader();
  publishHypervPage(host, 0, BODY);
  clock.tsc = 2_000n + 2_000_000n;
  const time = readHypervPage(guest, 0)!;
  assert.ok(time === 10_500n || time === 10_499n, `${time}`);
});

test('readHypervPage() has nothing while the page is not valid', () => {
  const { guest, host } = pageReader();
  assert.equal(readHypervPage(guest, 0), undefined);
  publishHypervPage(host, 0, { ...BODY, flags: 0 });
  assert.equal(readHypervPage(guest, 0), undefined);
});

test('readHypervPage() retries where the sequence changed, and takes the new line', () => {
  const { guest, host, clock } = pageReader();
  publishHypervPage(host, 0, BODY);
  let rounds = 0;
  let pauses = 0;
  clock.onTsc = () => {
    if (rounds++ === 0) publishHypervPage(host, 0, { ...BODY, systemTime: 900_000n });
  };
  clock.onRelax = () => {
    pauses++;
  };
  clock.tsc = 2_000n;
  const time = readHypervPage(guest, 0)!;
  assert.deepEqual([rounds, pauses], [2, 1]);
  assert.ok(time === 9_000n || time === 8_999n, `${time}`);
});

test('readHypervPage() reads scale, offset and TSC between two looks at the sequence, a barrier inside of each', () => {
  const cpu = new ScriptedCpu();
  cpu.memory.setUint32(HYPERV_TSC_PAGE.sequence, 1, true);
  assert.equal(readHypervPage(cpu, 0), 0n);
  assert.deepEqual(cpu.log, [
    ...['load32 0x0', 'readBarrier'],
    ...['load64 0x8', 'load64 0x10', 'rdtscOrdered'],
    ...['readBarrier', 'load32 0x0'],
  ]);
});

test('hypervTime() keeps the high half of the product and wraps', () => {
  assert.equal(hypervTime(1n << 63n, 1n << 63n, 0n), 1n << 62n);
  assert.equal(hypervTime((1n << 64n) - 1n, (1n << 64n) - 1n, 5n), 3n);
  assert.equal(hypervTime(0n, 0n, (1n << 64n) - 1n), (1n << 64n) - 1n);
});
