import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { HYPERV_TSC_PAGE } from '../../src/abi/hyperv.ts';
import { encodeStruct } from '../../src/abi/struct.ts';
import {
  VMCLOCK_BYTES,
  VMCLOCK_COUNTER,
  VMCLOCK_LAYOUT,
  VMCLOCK_MAGIC,
  VMCLOCK_STATUS,
  VMCLOCK_TIME,
  VMCLOCK_VERSION,
  type Vmclock,
} from '../../src/abi/vmclock.ts';
import { utcNs } from '../../src/guest/vmclock.ts';
import { loadClock } from '../../src/machine/clock-image.ts';
import { hypervPageAt, openHypervPage, openVmclock } from '../../src/machine/neighbours.ts';
import { isUnavailable, type Sys } from '../../src/machine/sys.ts';
import { sysHere } from './live-here.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-'));
after(() => rmSync(folder, { recursive: true }));

const zeroes = Object.fromEntries(
  Object.entries(VMCLOCK_LAYOUT).map(([name, [type]]) => [name, type === 'u64' ? 0n : 0]),
) as Vmclock;
const CLOCK: Vmclock = {
  ...zeroes,
  magic: VMCLOCK_MAGIC,
  size: VMCLOCK_BYTES,
  version: VMCLOCK_VERSION,
  counterId: VMCLOCK_COUNTER.X86_TSC,
  timeType: VMCLOCK_TIME.UTC,
  clockStatus: VMCLOCK_STATUS.SYNCHRONIZED,
  seqCount: 2,
  timeSec: 1_700_000_000n,
  counterPeriodFracSec: 2n ** 64n / 2_600_000_000n, // one cycle of a 2.6 GHz TSC
};

function deviceWith(clock: Vmclock, bytes = 4096): string {
  const device = path.join(folder, 'vmclock');
  const page = new Uint8Array(4096);
  encodeStruct(VMCLOCK_LAYOUT, clock, new DataView(page.buffer));
  writeFileSync(device, page);
  truncateSync(device, bytes);
  return device;
}

/** How many mappings of `file` this process has. */
const mappingsOf = (file: string): number =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(file)).length;

const reason = (value: object): string => (isUnavailable(value) ? value.unavailable : 'there is one');

test('openVmclock() reads a mapped page, and time advances with the TSC', () => {
  const clock = openVmclock(deviceWith(CLOCK));
  assert.ok(!isUnavailable(clock));
  const first = utcNs(clock.read()!)!;
  const second = utcNs(clock.read()!)!;
  assert.ok(first > CLOCK.timeSec * 1_000_000_000n && second > first);
  clock.close();
});

test('openVmclock() gives no time when the page says that it is not reliable', () => {
  const clock = openVmclock(deviceWith({ ...CLOCK, clockStatus: VMCLOCK_STATUS.UNRELIABLE }));
  assert.ok(!isUnavailable(clock));
  assert.equal(clock.read(), undefined);
  clock.close();
});

test('openVmclock() gives no time when the page stays half written, and gives it again when it is whole', () => {
  const device = deviceWith({ ...CLOCK, seqCount: 3 });
  const clock = openVmclock(device);
  assert.ok(!isUnavailable(clock));
  assert.equal(clock.read(), undefined);
  const page = new Uint8Array(4096);
  encodeStruct(VMCLOCK_LAYOUT, { ...CLOCK, seqCount: 4 }, new DataView(page.buffer));
  writeFileSync(device, page, { flag: 'r+' });
  assert.ok(clock.read()!.sec >= CLOCK.timeSec);
  clock.close();
});

test('a page that was half written for too long once is waited for again the next time', (t) => {
  const device = deviceWith({ ...CLOCK, seqCount: 3 });
  const clock = openVmclock(device);
  assert.ok(!isUnavailable(clock));
  assert.equal(clock.read(), undefined);
  const laterMs = performance.now() + 1000;
  let looks = 0;
  t.mock.method(performance, 'now', () => {
    if (++looks === 2) deviceWith({ ...CLOCK, seqCount: 4 });
    return laterMs;
  });
  assert.ok(clock.read()!.sec >= CLOCK.timeSec);
  clock.close();
});

test('close() takes the mapping away, ends the reading with an error, and does nothing the second time', () => {
  const device = deviceWith(CLOCK);
  const clock = openVmclock(device);
  assert.ok(!isUnavailable(clock));
  assert.equal(mappingsOf(device), 1);
  clock.close();
  assert.equal(mappingsOf(device), 0);
  const next = openVmclock(deviceWith(CLOCK)); // most likely where the first one was
  assert.ok(!isUnavailable(next));
  clock.close();
  assert.ok(next.read() !== undefined);
  assert.throws(() => clock.read(), /vmclock is closed: open it again to read it$/);
  next.close();
});

test('openVmclock() says why when there is no device, no page behind it, or another structure in it', () => {
  assert.equal(reason(openVmclock(path.join(folder, 'none'))), `open ${path.join(folder, 'none')}: ENOENT`);
  assert.match(reason(openVmclock(deviceWith(CLOCK, 0))), /cannot be read where it is mapped/);
  assert.match(reason(openVmclock(deviceWith({ ...CLOCK, magic: 1 }))), /no VMClock of a version/);
  assert.match(reason(openVmclock(folder)), /^mmap /);
  assert.equal(mappingsOf(path.join(folder, 'vmclock')), 0);
});

test("openVmclock() opens this machine's own device when there is one", (t) => {
  if (!existsSync('/dev/vmclock0')) return t.skip('there is no /dev/vmclock0 here');
  const clock = openVmclock();
  assert.ok(!isUnavailable(clock), reason(clock));
  clock.close();
});

/** The rate of this machine's TSC. */
function cyclesInSecond(sys: Sys): bigint {
  const { kvmclock_rdtsc_ordered: rdtsc } = loadClock(sys);
  const look = () => ({ ns: process.hrtime.bigint(), tsc: rdtsc() });
  look();
  const first = look();
  while (look().ns - first.ns < 20_000_000n);
  const last = look();
  return ((last.tsc - first.tsc) * 1_000_000_000n) / (last.ns - first.ns);
}

test('hypervPageAt() reads a valid page and refuses one that is not valid, or not there', () => {
  const sys = sysHere();
  const page = new Uint8Array(8192);
  const address = (sys.ffi.getRawPointer(page) + 4095n) & ~4095n;
  const at = Number(address - sys.ffi.getRawPointer(page));
  const view = new DataView(page.buffer, at);
  assert.match(reason(hypervPageAt(sys, address)), /not valid/);
  view.setUint32(HYPERV_TSC_PAGE.sequence, 1, true);
  view.setBigUint64(HYPERV_TSC_PAGE.scale, 2n ** 64n / 26n, true);
  assert.match(reason(hypervPageAt(sys, address)), /is no clock: it advanced \d+ ns while/);
  view.setBigUint64(HYPERV_TSC_PAGE.scale, (10_000_000n << 64n) / cyclesInSecond(sys), true);
  const hyperv = hypervPageAt(sys, address);
  assert.ok(!isUnavailable(hyperv));
  const first = hyperv.read()!;
  assert.ok(first > 0n && hyperv.read()! >= first);
  assert.match(reason(hypervPageAt(sys, 0n)), /cannot be read/);
});

test("openHypervPage() gives this machine's page, or says why there is none", () => {
  const hyperv = openHypervPage();
  if (isUnavailable(hyperv)) assert.match(hyperv.unavailable, /page/);
  else assert.ok(hyperv.read()! > 0n);
});
