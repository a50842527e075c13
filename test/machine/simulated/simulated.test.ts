import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Pvti } from '../../../src/abi/pvti.ts';
import { lineAt } from '../../../src/guest/sequence.ts';
import { FLAVOURS, type Flavour } from '../../../src/hypervisor/flavours.ts';
import type { Policy } from '../../../src/hypervisor/policy.ts';
import type { ReaderModule } from '../../../src/machine/simulated/readers.ts';
import type { ReadingCounts } from '../../../src/machine/simulated/reading.ts';
import { SimulatedMachine, type StressOrder } from '../../../src/machine/simulated/simulated.ts';
import { UPDATES, type UpdateKind } from '../../../src/machine/simulated/updates.ts';

const SOUND_READERS = ['landed', 'cached', 'before'] as const;
/** For a machine that is busy with other things; none of these takes a tenth of it on one that is not. */
const DEADLINE_S = 90;
const UPDATES_WANTED = 5000;

const broken = (name: string): ReaderModule => ({ module: import.meta.resolve('./broken-readers.ts'), name });

function flavourWith(policy: Partial<Policy>): Flavour {
  return { ...FLAVOURS.kvmclock, policy: { ...FLAVOURS.kvmclock.policy, ...policy } };
}

/** Stresses a VM of two vCPUs for a moment at a time, until `seen` or the deadline. Returns the last counts of the first reader. */
async function stressUntil(
  flavour: Flavour,
  order: Omit<StressOrder, 'seconds'>,
  seen: (counts: ReadingCounts) => boolean,
) {
  await using machine = await SimulatedMachine.start({ flavour });
  const end = performance.now() + DEADLINE_S * 1000;
  for (;;) {
    const { readers } = await machine.stress({ ...order, seconds: 0.3 });
    if (seen(readers[0]!) || performance.now() > end) return readers[0]!;
  }
}

const time = (p: Pvti, tsc: bigint): bigint => lineAt(tsc, p.tscTimestamp, p.systemTime, p.tscToSystemMul, p.tscShift);

describe('SimulatedMachine', () => {
  test('start() gives a VM whose records are all stable and on one line', async () => {
    await using machine = await SimulatedMachine.start({ vcpus: 3 });
    const tsc = machine.tsc();
    const records = [0, 1, 2].map((vcpu) => machine.record(vcpu));
    for (const record of records) {
      assert.deepEqual([record.flags, record.version % 2], [1, 0]);
      assert.ok(record.version > 0 && record.tscTimestamp <= tsc);
      assert.equal(time(record, tsc), time(records[0]!, tsc));
    }
  });

  test('the records of the kvm flavour keep to a line of their own, as each was written at another time', async () => {
    await using machine = await SimulatedMachine.start({ flavour: FLAVOURS.kvm });
    const [first, second] = [machine.record(0), machine.record(1)];
    assert.deepEqual([first.flags, second.flags], [1, 1]);
    assert.ok(second.tscTimestamp > first.tscTimestamp);
  });

  test('start() refuses a VM without vCPUs', async () => {
    await assert.rejects(SimulatedMachine.start({ vcpus: 0 }), /1 or more, not 0/);
  });

  test('timeNs() of a reader is above that of the bare TSC', async () => {
    await using machine = await SimulatedMachine.start({ vcpus: 1 });
    await machine.timeNs('landed', 20_000);
    await machine.timeNs('raw-tsc', 20_000);
    assert.ok((await machine.timeNs('landed', 20_000)) > (await machine.timeNs('raw-tsc', 20_000)));
  });

  test('record() is whole while the host updates', async () => {
    await using machine = await SimulatedMachine.start();
    const running = machine.stress({
      readers: ['landed'],
      update: 'refresh',
      seconds: DEADLINE_S,
      mostUpdates: UPDATES_WANTED,
    });
    let ended = false;
    running.finally(() => {
      ended = true;
    });
    const versions = new Set<number>();
    while (!ended) {
      const record = machine.record(0);
      versions.add(record.version);
      assert.equal(record.version % 2, 0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(versions.size > 1);
    await running;
  });

  test('stress() rejects when a reader fails or cannot be loaded', async () => {
    await using machine = await SimulatedMachine.start();
    const order = { update: 'refresh', seconds: 1 } as const;
    await assert.rejects(machine.stress({ ...order, readers: [broken('failing')] }), /this reader fails/);
    await using other = await SimulatedMachine.start();
    await assert.rejects(other.stress({ ...order, readers: [broken('missing')] }), /exports no function missing/);
  });

  test('stress() refuses to make the TSC of a single vCPU match no other', async () => {
    await using machine = await SimulatedMachine.start({ vcpus: 1 });
    const order = { readers: ['landed'], update: 'unstable', seconds: 1 } as const;
    await assert.rejects(machine.stress(order), {
      name: 'RangeError',
      message: 'stress: unstable takes 2 vCPUs or more',
    });
  });

  test('stress() of every other update takes a single vCPU', async () => {
    await using machine = await SimulatedMachine.start({ vcpus: 1 });
    for (const update of UPDATES.filter((kind) => kind !== 'unstable')) {
      const order = { readers: ['landed'], update, seconds: DEADLINE_S, mostUpdates: 100 } as const;
      const { updates, readers } = await machine.stress(order);
      assert.ok(updates >= 100, update);
      assert.deepEqual([readers[0]!.torn, readers[0]!.stale, readers[0]!.warps], [0, 0, 0], update);
    }
  });

  test('now() is what record 0 gives at the TSC, and throws where the clock is not stable', async () => {
    await using machine = await SimulatedMachine.start();
    const record = machine.record(0);
    const before = time(record, machine.tsc());
    const ns = machine.now();
    assert.ok(ns >= before && ns <= time(record, machine.tsc()));
    await machine.stress({ readers: ['landed'], update: 'unstable', seconds: DEADLINE_S, mostUpdates: 1 });
    assert.throws(() => machine.now(), /not stable/);
  });

  test('close() ends a vCPU that never comes out of the guest, and the host that waits for it', async () => {
    const machine = await SimulatedMachine.start();
    const running = machine.stress({ readers: [broken('endless')], update: 'refresh', seconds: 1 });
    const rejected = assert.rejects(running, /the thread ended/);
    await setTimeout(200); // they are at it by then
    await machine.close();
    await rejected;
  });

  test('stress() rejects at once when a thread ends in the middle, and when all have ended', async () => {
    const machine = await SimulatedMachine.start();
    const order = { update: 'refresh', seconds: 60 } as const;
    await assert.rejects(machine.stress({ ...order, readers: [broken('ending')] }), /the thread ended with 3 before/);
    await machine.close();
    await assert.rejects(machine.stress({ ...order, readers: ['landed'] }), /the thread ended with/);
  });
});

describe('under stress, the kvmclock flavour', () => {
  for (const update of UPDATES) {
    test(`gives landed, cached and before no torn or stale reading and no warp: ${update}`, async () => {
      await using machine = await SimulatedMachine.start();
      const mostUpdates = update === 'unstable' ? UPDATES_WANTED / 10 : UPDATES_WANTED;
      const order = { readers: SOUND_READERS, update, seconds: DEADLINE_S, mostUpdates };
      const { updates, readers } = await machine.stress(order);
      assert.ok(updates >= mostUpdates);
      for (const { reads, torn, stale, warps } of readers) {
        assert.ok(reads > 0);
        assert.deepEqual({ torn, stale, warps }, { torn: 0, stale: 0, warps: 0 });
      }
      assert.ok(readers.reduce((sum, { retries }) => sum + retries, 0) > 0);
      const refused = readers.reduce((sum, { unstable }) => sum + unstable, 0);
      assert.equal(refused > 0, update === 'unstable');
    });
  }

  for (const update of ['refresh', 'ahead', 'set-clock', 'unstable'] as const) {
    test(`gives clock_gettime the record's time to the ns while the kernel takes its bases over: ${update}`, async () => {
      await using machine = await SimulatedMachine.start();
      const mostUpdates = update === 'unstable' ? UPDATES_WANTED / 10 : UPDATES_WANTED;
      const order = { readers: ['clock-gettime'], update, seconds: DEADLINE_S, mostUpdates } as const;
      const [{ reads, retries, torn, stale, warps }] = (await machine.stress(order)).readers as [ReadingCounts];
      assert.ok(reads > 0 && retries > 0);
      assert.deepEqual({ torn, stale, warps }, { torn: 0, stale: 0, warps: 0 });
    });
  }

  test('does so with record0 and all, and with either base, on three vCPUs too', async () => {
    for (const policy of [{ freeze: 'all' }, { base: 'kvm' }] as const) {
      await using machine = await SimulatedMachine.start({ vcpus: 3, flavour: flavourWith(policy) });
      const order = { readers: SOUND_READERS, update: 'refresh', seconds: DEADLINE_S, mostUpdates: 1000 } as const;
      const { readers } = await machine.stress(order);
      for (const { torn, stale } of readers) assert.deepEqual({ torn, stale }, { torn: 0, stale: 0 });
    }
  });
});

describe('stress() catches', () => {
  const CAUGHT: readonly (readonly [
    what: string,
    flavour: Flavour,
    reader: StressOrder['readers'][number],
    update: UpdateKind,
    count: 'torn' | 'stale' | 'warps',
  ])[] = [
    ['a reader whose retry was removed', FLAVOURS.kvmclock, broken('landedWithoutRetry'), 'refresh', 'torn'],
    ['a reader that looks at the version once', FLAVOURS.kvmclock, broken('landedAtEvenVersion'), 'refresh', 'torn'],
    ['the writer of January 2015, which has no odd phase', FLAVOURS['kvm-2015'], 'landed', 'refresh', 'torn'],
    ['a freeze that ends before record 0 is written', flavourWith({ freeze: 'kvm' }), 'landed', 'refresh', 'stale'],
    ['a told vCPU on a clock that is no longer stable', FLAVOURS.kvm, 'landed', 'unstable', 'stale'],
    [
      'a clock_gettime without its sequence',
      FLAVOURS.kvmclock,
      broken('clockGettimeWithoutSequence'),
      'refresh',
      'torn',
    ],
    ['a reader that leaps', FLAVOURS.kvmclock, broken('leaping'), 'refresh', 'warps'],
  ];
  for (const [what, flavour, reader, update, count] of CAUGHT) {
    test(what, async () => {
      const counts = await stressUntil(flavour, { readers: [reader], update }, (seen) => seen[count] > 0);
      assert.ok(counts[count] > 0);
    });
  }

  test('two readers that disagree, where one of them goes by record 0 before it is written', async () => {
    const order: Omit<StressOrder, 'seconds'> = { readers: ['landed', 'before'], update: 'ahead' };
    const { warps, worstWarpNs } = await stressUntil(FLAVOURS.kvm, order, (seen) => seen.warps > 0);
    assert.ok(warps > 0 && worstWarpNs > 0);
  });
});
