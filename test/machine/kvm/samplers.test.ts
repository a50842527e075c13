import assert from 'node:assert/strict';
import { PVTI, PVTI_BYTES } from '../../../src/abi/pvti.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { SAMPLE_ONCE, SAMPLE_ONCE_BYTES, SAMPLE_STALE, SAMPLE_STALE_BYTES } from '../../../src/machine/kvm/samplers.ts';
import { kvmTest, realKvm } from './real-kvm.ts';

const LIMIT = 10_000_000n;

/** Runs `program` on a block of `bytes` that `fill` has filled, and hands its words and the TSC right before. */
async function sampled(
  program: string,
  bytes: number,
  fill: (put: (offset: number, value: bigint | number) => void, block: number, guest: Guest) => void,
): Promise<{ word: (offset: number) => bigint; start: bigint }> {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 1 });
  const { view } = guest.vm.memory;
  const block = guest.allocate(bytes);
  fill((offset, value) => view.setBigUint64(block + offset, BigInt(value), true), block, guest);
  const start = await guest.call(0, 'kvmclock_rdtsc_lfence');
  await guest.call(0, program, { first: block });
  const words = Array.from({ length: bytes / 8 }, (_, i) => view.getBigUint64(block + i * 8, true));
  return { word: (offset) => words[offset / 8]!, start };
}

kvmTest('sample_once calls what it is given, with both arguments, between two readings of the TSC', async () => {
  const TSC = 0x1_2345_6789n;
  const { word } = await sampled('sample_once', SAMPLE_ONCE_BYTES, (put, _, guest) => {
    const pvti = guest.allocate(PVTI_BYTES);
    guest.vm.memory.view.setBigUint64(pvti + PVTI.systemTime, 1_000n, true);
    guest.vm.memory.view.setUint32(pvti + PVTI.tscToSystemMul, 0x8000_0000, true);
    put(SAMPLE_ONCE.callee, guest.address('kvmclock_at'));
    put(SAMPLE_ONCE.first, pvti);
    put(SAMPLE_ONCE.second, TSC);
  });
  assert.equal(word(SAMPLE_ONCE.value), 1_000n + TSC / 2n);
  assert.ok(word(SAMPLE_ONCE.before) > 0n && word(SAMPLE_ONCE.before) < word(SAMPLE_ONCE.after));
});

kvmTest('sample_once has what it calls read the TSC after its first reading and before its second', async () => {
  const { word } = await sampled('sample_once', SAMPLE_ONCE_BYTES, (put, _, guest) =>
    put(SAMPLE_ONCE.callee, guest.address('kvmclock_rdtsc_lfence')),
  );
  const [before, value, after] = [SAMPLE_ONCE.before, SAMPLE_ONCE.value, SAMPLE_ONCE.after].map(word);
  assert.ok(before! < value! && value! < after!, `${before} ${value} ${after}`);
});

/** `own` and `other`: what stands for the two versions, as an offset in the block. */
const stale = (own: number, other: number) =>
  sampled('sample_stale', SAMPLE_STALE_BYTES, (put, block) => {
    put(SAMPLE_STALE.own, block + own);
    put(SAMPLE_STALE.other, block + other);
    put(SAMPLE_STALE.limit, LIMIT);
  });

kvmTest(
  'sample_stale ends at its limit where the first version never moves, and shows all the while that it runs',
  async () => {
    const { word, start } = await stale(SAMPLE_STALE.limit, SAMPLE_STALE.limit);
    assert.deepEqual([SAMPLE_STALE.moved, SAMPLE_STALE.told, SAMPLE_STALE.stale].map(word), [0n, 0n, 0n]);
    assert.ok(word(SAMPLE_STALE.beat) - start >= LIMIT);
    assert.equal(word(SAMPLE_STALE.limit), LIMIT);
  },
);

kvmTest('sample_stale says when the first version moved, and that the second had not by its limit', async () => {
  const { word } = await stale(SAMPLE_STALE.beat, SAMPLE_STALE.limit); // its own beat moves the first
  assert.equal(word(SAMPLE_STALE.moved), 1n);
  const [beat, told, end] = [SAMPLE_STALE.beat, SAMPLE_STALE.told, SAMPLE_STALE.stale].map(word);
  assert.ok(beat! < told! && end! - told! >= LIMIT, `${beat} ${told} ${end}`);
});

kvmTest('sample_stale finds no time between the two where the second version had moved by then', async () => {
  const { word } = await stale(SAMPLE_STALE.beat, SAMPLE_STALE.told);
  assert.equal(word(SAMPLE_STALE.moved), 2n);
  assert.ok(word(SAMPLE_STALE.beat) < word(SAMPLE_STALE.told));
  assert.equal(word(SAMPLE_STALE.stale), word(SAMPLE_STALE.told));
});
