import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodePvti, PVTI, PVTI_SIZE, pvtiAddress } from '../../src/abi/pvti.ts';
import { READERS } from '../../src/guest/readers.ts';
import { attach } from '../../src/machine/live.ts';
import { isUnavailable, MAP_ANONYMOUS, MAP_PRIVATE, PAGE_BYTES, PROT_READ, PROT_WRITE } from '../../src/machine/sys.ts';
import { liveHere, sysHere } from './live-here.ts';

const sys = sysHere();
const RW = PROT_READ | PROT_WRITE;
const address = sys.check('mmap', sys.libc.mmap(0n, BigInt(PAGE_BYTES), RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n));
const page = new Uint8Array(sys.view(address, PAGE_BYTES));

const reasonFor = (bytes: Uint8Array): string => {
  page.fill(0);
  page.set(bytes);
  const result = attach(sys, address, 'a test page');
  return isUnavailable(result) ? result.unavailable : 'attached';
};

test('attach() refuses an empty page, noise, and a record that nobody keeps, each with its reason', () => {
  assert.match(reasonFor(new Uint8Array(0)), /never written/);
  const odd = new Uint8Array(32);
  odd[0] = 5;
  assert.match(reasonFor(odd), /stays odd/);
  const record = new Uint8Array(32);
  const wrongRate = {
    version: 2,
    tscTimestamp: 1n,
    systemTime: 0n,
    tscToSystemMul: 0x80000000,
    tscShift: -2,
    flags: 1,
  };
  encodePvti(wrongRate, new DataView(record.buffer));
  assert.match(reasonFor(record), /it advanced \d+ ns while/);
});

test('attach() never takes noise for a record, nor harms the process', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 4096 }), (bytes) => {
      bytes[0]! &= 0xfe; // an odd version takes 20 ms to be refused
      return reasonFor(bytes) !== 'attached';
    }),
    { numRuns: 200 },
  );
});

test('attach() takes a copy of the live record, and refuses it once its rate is wrong', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const bytes = new Uint8Array(PVTI_SIZE);
  const record = live.record(0);
  encodePvti(record, new DataView(bytes.buffer));
  assert.equal(reasonFor(bytes), 'attached');
  encodePvti({ ...record, tscShift: record.tscShift + 1 }, new DataView(bytes.buffer));
  assert.match(reasonFor(bytes), /it advanced/);
});

test('attach() refuses the live record once any byte of its padding is not zero', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  for (const at of [0, 1, 2, 3].map((byte) => PVTI.pad0 + byte).concat(PVTI.pad, PVTI.pad + 1)) {
    const bytes = new Uint8Array(PVTI_SIZE);
    encodePvti(live.record(0), new DataView(bytes.buffer));
    bytes[at] = 1;
    assert.equal(reasonFor(bytes), 'a test page holds no record in use: padding not zero');
  }
});

test('attach() takes a record that is not stable, whose rate cannot be seen: the image asks the kernel', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const bytes = new Uint8Array(PVTI_SIZE);
  encodePvti({ ...live.record(0), flags: 0 }, new DataView(bytes.buffer));
  assert.equal(reasonFor(bytes), 'attached');
});

test('the plain readers, run on the live record, agree with the machine code around them', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const { image, cpu } = live;
  for (const [name, make] of Object.entries(READERS)) {
    const read = make();
    for (let i = 0; i < 1000; i++) {
      const before = image.kvmclock_read_landed(live.address);
      const ns = read(cpu, 0);
      const after = image.kvmclock_read_landed(live.address);
      assert.ok(ns !== undefined && before <= ns && ns <= after, `${name}: ${before} <= ${ns} <= ${after}`);
    }
  }
});

test('record() shows every vCPU whose record was written', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const vcpus = live.vcpus();
  assert.equal(vcpus[0], 0);
  for (const vcpu of vcpus) {
    assert.equal(live.record(vcpu).version % 2, 0);
    assert.ok(live.cpu.load32(pvtiAddress(0, vcpu)) > 0);
  }
});
