import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cached, emptyLine } from '../../src/guest/cached.ts';
import type { GuestCpu, Reader } from '../../src/guest/cpu.ts';
import { rawTsc } from '../../src/guest/raw-tsc.ts';
import { READERS } from '../../src/guest/readers.ts';
import { RECORDS, ScriptedCpu, STABLE, timeAt } from './scripted-cpu.ts';

const UNSTABLE = { ...STABLE, flags: 0 };

const begin = (vcpu = 0) => [`load32 ${vcpu}.version`, 'readBarrier'];
const body = (vcpu = 0) => [
  `load32 ${vcpu}.tscToSystemMul`,
  `load8 ${vcpu}.tscShift`,
  `load64 ${vcpu}.systemTime`,
  `load64 ${vcpu}.tscTimestamp`,
];
const retry = (vcpu = 0) => ['readBarrier', `load32 ${vcpu}.version`];
const flags = (vcpu = 0) => [`load8 ${vcpu}.flags`];

/** What each reader does on a record at rest, in order. */
const ORDER: Readonly<Record<keyof typeof READERS, readonly string[]>> = {
  before: [...['vcpu', ...begin(), 'rdtscOrdered', ...body(), ...flags()], ...['loadFence', 'vcpu', ...retry()]],
  rfc: [...flags(), ...begin(), 'rdtscOrdered', ...body(), ...retry()],
  landed: [...begin(), ...flags(), 'rdtscOrdered', ...body(), ...retry()],
  cached: [
    ...['rdtscOrdered', 'readBarrier', 'load32 0.version'],
    ...[...begin(), ...flags(), ...body(), ...retry(), 'relax'],
    ...['rdtscOrdered', 'readBarrier', 'load32 0.version'],
  ],
  relaxed: [...begin(), ...flags(), 'rdtsc', ...body(), ...retry()],
  freebsd: [...begin(), ...flags(), 'rdtscOrdered', ...body(), ...retry()],
};

function checkOrder(reader: Reader, order: readonly string[]): void {
  const cpu = new ScriptedCpu(STABLE);
  assert.equal(reader(cpu, RECORDS), timeAt(STABLE, cpu.readAt));
  assert.deepEqual(cpu.log, order);
}

describe('the order of accesses', () => {
  for (const [name, order] of Object.entries(ORDER)) {
    test(`${name}() does its accesses in its own order, and each once`, () => {
      checkOrder(READERS[name as keyof typeof READERS](), order);
    });
  }

  test('before() reads the record of the vCPU that it is on', () => {
    const cpu = new ScriptedCpu({ ...STABLE, systemTime: 1n }, STABLE);
    cpu.on = 1;
    assert.equal(READERS.before()(cpu, RECORDS), timeAt(STABLE, cpu.readAt));
    assert.deepEqual(
      cpu.log.filter((operation) => operation.includes('.')),
      [...begin(1), ...body(1), ...flags(1), ...retry(1)].filter((operation) => operation.includes('.')),
    );
  });

  test('cached() reads nothing but the version once it has the line', () => {
    const cpu = new ScriptedCpu(STABLE);
    const line = emptyLine();
    cached(cpu, RECORDS, line);
    cpu.log.length = 0;
    assert.equal(cached(cpu, RECORDS, line), timeAt(STABLE, cpu.readAt));
    assert.deepEqual(cpu.log, ['rdtscOrdered', 'readBarrier', 'load32 0.version']);
  });

  test('freebsd() asks RDTSCP for the vCPU, and again for TSC and vCPU, where record 0 is not stable', () => {
    const cpu = new ScriptedCpu(UNSTABLE, UNSTABLE);
    cpu.on = 1;
    assert.equal(READERS.freebsd()(cpu, RECORDS), timeAt(UNSTABLE, cpu.readAt));
    assert.deepEqual(cpu.log, [...begin(), ...flags(), 'rdtscp', ...begin(1), 'rdtscp', ...body(1), ...retry(1)]);
  });

  test('rawTsc() is one ordered TSC read', () => {
    const cpu = new ScriptedCpu();
    assert.equal(rawTsc(cpu), cpu.readAt);
    assert.deepEqual(cpu.log, ['rdtscOrdered']);
  });

  test('the comparison catches a reader that looks at the TSC before the version, or leaves a barrier out', () => {
    const tscFirst: Reader = (cpu, records) => {
      const tsc = cpu.rdtscOrdered();
      return READERS.landed()({ ...bound(cpu), rdtscOrdered: () => tsc }, records);
    };
    const noBarrier: Reader = (cpu, records) => READERS.landed()({ ...bound(cpu), readBarrier() {} }, records);
    for (const broken of [tscFirst, noBarrier]) assert.throws(() => checkOrder(broken, ORDER.landed));
  });
});

/** The operations of `cpu` as an object, to replace one of them. */
function bound(cpu: GuestCpu): GuestCpu {
  return {
    load8: (address) => cpu.load8(address),
    load32: (address) => cpu.load32(address),
    load64: (address) => cpu.load64(address),
    rdtscOrdered: () => cpu.rdtscOrdered(),
    rdtsc: () => cpu.rdtsc(),
    rdtscp: () => cpu.rdtscp(),
    readBarrier: () => cpu.readBarrier(),
    loadFence: () => cpu.loadFence(),
    vcpu: () => cpu.vcpu(),
    relax: () => cpu.relax(),
  };
}
