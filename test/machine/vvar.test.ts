import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hypervPageFromMaps, pageFromMaps } from '../../src/machine/vvar.ts';

const NEW = `7fddee849000-7fddee84d000 r--p 00000000 00:00 0                          [vvar]
7fddee84d000-7fddee84f000 r--p 00000000 00:00 0                          [vvar_vclock]
7fddee84f000-7fddee851000 r-xp 00000000 00:00 0                          [vdso]
`;
const OLD = `7ffd1d7f2000-7ffd1d7f6000 r--p 00000000 00:00 0                          [vvar]
7ffd1d7f6000-7ffd1d7f8000 r-xp 00000000 00:00 0                          [vdso]
`;

test('pageFromMaps() takes the first page of [vvar_vclock] when there is one', () => {
  assert.deepEqual(pageFromMaps(NEW, '6.13.0'), { address: 0x7fddee84d000n, where: '[vvar_vclock], page 0' });
});

test('pageFromMaps() takes the second page of [vvar] on older kernels', () => {
  assert.deepEqual(pageFromMaps(OLD, '6.12.117+deb13-amd64'), { address: 0x7ffd1d7f3000n, where: '[vvar], page 1' });
});

test('pageFromMaps() finds nothing when [vvar] is a single page, absent, of a kernel that keeps the page elsewhere, or the text is not maps at all', () => {
  assert.equal(pageFromMaps(OLD.replace('7ffd1d7f6000 r', '7ffd1d7f3000 r'), '5.15.0'), undefined);
  assert.equal(pageFromMaps(OLD.replace('[vvar]', '[heap]'), '5.15.0'), undefined);
  assert.equal(pageFromMaps(OLD, '6.13.0-rc1'), undefined);
  assert.equal(pageFromMaps(OLD, '7.0.0'), undefined);
  assert.equal(pageFromMaps('', '5.15.0'), undefined);
  assert.equal(pageFromMaps('[vvar] [vvar_vclock]\n\0\xff', '5.15.0'), undefined);
});

test("hypervPageFromMaps() takes the page behind the records', and nothing where their mapping ends", () => {
  assert.equal(hypervPageFromMaps(NEW, '6.13.0'), 0x7fddee84e000n);
  assert.equal(hypervPageFromMaps(NEW.replace('7fddee84f000 r--p', '7fddee84e000 r--p'), '6.13.0'), undefined);
  assert.equal(hypervPageFromMaps(OLD, '6.12.0'), 0x7ffd1d7f4000n);
  assert.equal(hypervPageFromMaps(OLD.replace('7ffd1d7f6000 r--p', '7ffd1d7f4000 r--p'), '4.9.0'), undefined);
  assert.equal(hypervPageFromMaps('', '5.15.0'), undefined);
});
