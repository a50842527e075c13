import assert from 'node:assert/strict';
import { PVCLOCK_TSC_STABLE_BIT, PVTI_BYTES } from '../../../src/abi/pvti.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { SAMPLE_STRESS, SAMPLE_STRESS_BYTES, STRESS_TABLE_BYTES } from '../../../src/machine/kvm/stress-code.ts';
import { kvmTest, realKvm } from './real-kvm.ts';

const NS = 1_000_000n;
const VERSION = 6n;
const MUL = 0x8000_0000n;
const STABLE = BigInt(PVCLOCK_TSC_STABLE_BIT) << 40n;
const BODY = [77n, NS, MUL | STABLE] as const; // at TSC 77 it is NS
const ENTRY_BYTES = 32;
const COUNTS = ['reads', 'unstable', 'warps', 'worstNs', 'stalls', 'retries', 'torn', 'stale'] as const;

type Words = readonly [tscTimestamp: bigint, systemTime: bigint, last: bigint];

interface Round {
  /** The latest time that anybody was given. */
  readonly shared?: bigint;
  readonly worstNs?: bigint;
  readonly reader?: string;
  readonly record0?: Words;
  readonly own?: Words;
  /** What the table holds in the place of VERSION. */
  readonly known?: readonly [version: bigint, ...Words];
}

/** One round of sample_stress, which its own count of readings stops: what it counted, and left. */
async function round({ shared = 0n, worstNs = 0n, reader = 'kvmclock_at', known, ...records }: Round) {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 1 });
  const { view } = guest.vm.memory;
  const put = (at: number, words: readonly bigint[]) => {
    for (const [i, word] of words.entries()) view.setBigUint64(at + i * 8, word, true);
  };
  const recordOf = (words: Words) => {
    const at = guest.allocate(PVTI_BYTES);
    put(at, [VERSION, ...words]);
    return at;
  };
  const { record0 = BODY, own = BODY } = records;
  const block = guest.allocate(SAMPLE_STRESS_BYTES);
  const [latest, table, first] = [guest.allocate(8), guest.allocate(STRESS_TABLE_BYTES), recordOf(record0)];
  put(latest, [shared]);
  const entry = table + (Number(VERSION) / 2) * ENTRY_BYTES;
  if (known !== undefined) put(entry, known);
  const fields = { callee: guest.address(reader), first, second: BODY[0], shared: latest, own: recordOf(own), table };
  for (const [name, value] of Object.entries({ ...fields, worstNs, stop: block + SAMPLE_STRESS.reads })) {
    put(block + SAMPLE_STRESS[name as keyof typeof SAMPLE_STRESS], [BigInt(value)]);
  }
  await guest.call(0, 'sample_stress', { first: block });
  const word = (at: number) => view.getBigUint64(at, true);
  const counts = COUNTS.map((name) => [name, word(block + SAMPLE_STRESS[name])] as const);
  return {
    counts: Object.fromEntries(counts.filter(([, count]) => count !== 0n)),
    latest: word(latest),
    entry: [0, 8, 16, 24].map((offset) => word(entry + offset)),
  };
}

kvmTest('sample_stress hands a later time on, and keeps the copy by its version', async () => {
  assert.deepEqual(await round({ shared: NS - 1n }), { counts: { reads: 1n }, latest: NS, entry: [VERSION, ...BODY] });
});

kvmTest('sample_stress counts a reading behind the latest, and keeps the worst', async () => {
  const shared = NS + 700n;
  for (const [before, worstNs] of [
    [0n, 700n],
    [699n, 700n],
    [701n, 701n],
  ] as const) {
    const { counts, latest } = await round({ shared, worstNs: before });
    assert.deepEqual({ counts, latest }, { counts: { reads: 1n, warps: 1n, worstNs }, latest: shared });
  }
});

kvmTest('sample_stress counts a reading that equals the latest as a stall', async () => {
  const { counts, latest } = await round({ shared: NS });
  assert.deepEqual({ counts, latest }, { counts: { reads: 1n, stalls: 1n }, latest: NS });
});

kvmTest('sample_stress counts what a reader refuses, and takes it for no time', async () => {
  const unstable = [77n, NS, MUL] as const;
  const refused = { reader: 'kvmclock_read_landed', record0: unstable, own: unstable };
  const { counts, latest } = await round({ ...refused, shared: NS });
  assert.deepEqual({ counts, latest }, { counts: { reads: 1n, unstable: 1n }, latest: NS });
});

/** The body with each of its words changed in turn. */
const CHANGED = [0, 1, 2].map((index) => BODY.with(index, BODY[index]! + 1n) as unknown as Words);

kvmTest(
  'sample_stress counts a copy as torn that differs in any word from an earlier one of the same version',
  async () => {
    for (const body of CHANGED) {
      assert.deepEqual((await round({ known: [VERSION, ...body] })).counts, { reads: 1n, torn: 1n });
    }
    assert.deepEqual((await round({ known: [VERSION, ...BODY] })).counts, { reads: 1n });
    const older = await round({ known: [VERSION - 2n, ...CHANGED[0]!] });
    assert.deepEqual([older.counts, older.entry], [{ reads: 1n }, [VERSION, ...BODY]]);
  },
);

kvmTest('sample_stress counts a copy as stale that differs in any word from the own record', async () => {
  for (const own of CHANGED) assert.deepEqual((await round({ own })).counts, { reads: 1n, stale: 1n });
});
