/** Prints what openClock() gives in this process, as JSON; with arguments, after something was done to the page of records. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { openClock } from '../../../src/machine/clock.ts';
import { isUnavailable, openSys, PROT_NONE } from '../../../src/machine/sys.ts';
import { pageFromMaps } from '../../../src/machine/vvar.ts';

const [action] = process.argv.slice(2);
if (action !== undefined) {
  const sys = openSys();
  if (isUnavailable(sys)) throw new Error(sys.unavailable);
  // The kernel splits none of its own mappings: all of it, or nothing.
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const { address } = pageFromMaps(maps, release())!;
  const range = maps.split('\n').find((line) => / \[vvar(_vclock)?\]$/.test(line) && inside(line, address))!;
  const [start, end] = boundsOf(range);
  const length = end - start;
  if (action === 'unmap') sys.check('munmap', sys.libc.munmap(start, length));
  if (action === 'protect') sys.check('mprotect', sys.libc.mprotect(start, length, PROT_NONE));
}
const clock = openClock();
const first = clock.now();
const advanced = clock.now() >= first && clock.nowNs() > 0 && clock.nowRelaxedNs() > 0 && clock.epochNow() > 0n;
const clocks = (['realtime', 'monotonic', 'boottime', 'monotonicRaw'] as const).map((name) => {
  const one = clock[name]();
  return clock[name]() >= one && one > 0n && clock.errorBoundNs(name) >= 0;
});
console.log(
  JSON.stringify({
    clocks: clocks.every((ok) => ok),
    source: clock.source,
    reason: clock.reason,
    advanced,
    now: String(clock.now()),
  }),
);

function boundsOf(line: string): [start: bigint, end: bigint] {
  const [start, end] = line.split(' ')[0]!.split('-');
  return [BigInt(`0x${start}`), BigInt(`0x${end}`)];
}

function inside(line: string, address: bigint): boolean {
  const [start, end] = boundsOf(line);
  return address >= start && address < end;
}
