import assert from 'node:assert/strict';
import test from 'node:test';
import { GUEST_MEMORY_BYTES, IMAGES_AT } from '../../../src/machine/kvm/guest-memory.ts';
import { loadImage } from '../../../src/machine/kvm/image.ts';
import { GuestMemory } from '../../../src/machine/kvm/memory.ts';
import { isUnavailable, openSys } from '../../../src/machine/sys.ts';
import { clockCode, DATA_BYTES } from '../../../src/vdso/clock.ts';
import { buildImage } from '../../../src/vdso/image.ts';

const PAGE = 4096;
const PAGE_TABLE_AT = 0x4000;
const [PRESENT, WRITABLE, USER, NO_EXECUTE] = [1n, 2n, 4n, 1n << 63n];
const sys = openSys();
const skip = isUnavailable(sys) && sys.unavailable;

test('loadImage() puts code and data where the image has them, each with its own access', {
  skip,
}, () => {
  if (isUnavailable(sys)) throw new Error(sys.unavailable);
  const memory = new GuestMemory(sys, GUEST_MEMORY_BYTES);
  try {
    const image = buildImage(clockCode(), 'kvmclock.so', DATA_BYTES);
    memory.slice(IMAGES_AT, 16 * PAGE).fill(0xee);
    const { symbols, dataAt, end } = loadImage(memory, image, IMAGES_AT);
    for (const { name, at, bytes } of image.symbols) {
      const code = image.file.subarray(image.codeAt + at, image.codeAt + at + bytes);
      assert.deepEqual(memory.slice(symbols.get(name)!, bytes), code, name);
    }
    assert.equal(dataAt, IMAGES_AT + image.dataAt);
    assert.ok(memory.slice(dataAt, DATA_BYTES).every((byte) => byte === 0));
    const entryOf = (address: number) => memory.view.getBigUint64(PAGE_TABLE_AT + Math.floor(address / PAGE) * 8, true);
    const accessOf = (address: number) => entryOf(address) & ~(BigInt(Math.floor(address / PAGE)) * BigInt(PAGE));
    assert.equal(accessOf(symbols.get('kvmclock_now')!), PRESENT | USER);
    assert.equal(accessOf(dataAt), PRESENT | USER | WRITABLE | NO_EXECUTE);
    assert.deepEqual([end % PAGE, entryOf(end), entryOf(end - PAGE) & PRESENT], [0, 0n, PRESENT]);
  } finally {
    memory.unmap();
  }
});
