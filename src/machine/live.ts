/**
 * The live machine: the records that the hypervisor keeps for the guest that this process runs in, read by the image.
 */
import { PVTI, PVTI_PER_PAGE, type Pvti, pvtiAddress } from '../abi/pvti.ts';
import type { GuestCpu } from '../guest/cpu.ts';
import { doubts } from '../guest/plausible.ts';
import { snapshot } from '../guest/snapshot.ts';
import { type ClockFunctions, loadClock } from './clock-image.ts';
import { pageCpu } from './page-cpu.ts';
import { isUnavailable, openSys, PAGE_BYTES, type Sys, type Unavailable } from './sys.ts';
import { findVvarPage } from './vvar.ts';

export interface LiveMachine {
  readonly sys: Sys;
  readonly image: ClockFunctions;
  /** Address of vCPU 0's record in this process. */
  readonly address: bigint;
  /** Where the page was found, for people. */
  readonly where: string;
  /** What the plain readers run on: offset 0 is vCPU 0's record. */
  readonly cpu: GuestCpu;
  /** The vCPUs whose records stand in the page and were ever written: at most 64. */
  vcpus(): number[];
  /** One vCPU's record, all from one update. */
  record(vcpu: number): Pvti;
}

let opened: LiveMachine | Unavailable | undefined;

/** The live machine, attached; the same at every call in a thread. Where there is none it says why, and never throws. */
export function openLive(): LiveMachine | Unavailable {
  opened ??= open();
  return opened;
}

function open(): LiveMachine | Unavailable {
  const sys = openSys();
  if (isUnavailable(sys)) return sys;
  try {
    const page = findVvarPage(sys);
    return isUnavailable(page) ? page : attach(sys, page.address, page.where);
  } catch (error) {
    return { unavailable: `the image cannot be loaded: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Attaches the image to the records at `address`, a page that is known to be readable. */
export function attach(sys: Sys, address: bigint, where: string): LiveMachine | Unavailable {
  const image = loadClock(sys);
  const page = sys.view(address, PAGE_BYTES);
  const cpu = pageCpu(page, image);
  const odd = settled(cpu);
  if (odd !== undefined) return { unavailable: `${where}: ${odd}` };
  const record = (vcpu: number) => snapshot(cpu, pvtiAddress(0, vcpu));
  const [doubt] = doubts(record(0), cpu.load32(PVTI.pad0) | cpu.load8(PVTI.pad) | cpu.load8(PVTI.pad + 1));
  if (doubt !== undefined) return { unavailable: `${where} holds no record in use: ${doubt}` };
  image.kvmclock_attach(address);
  const rate = rateAgainstHrtime(() => image.kvmclock_read_landed(address));
  if (rate !== undefined) return { unavailable: `${where} holds no record in use: ${rate}` };
  const vcpus = () => {
    const slots = Array.from({ length: PVTI_PER_PAGE }, (_, vcpu) => vcpu);
    return slots.filter((vcpu) => cpu.load32(pvtiAddress(0, vcpu) + PVTI.version) !== 0);
  };
  return { sys, image, address, where, cpu, vcpus, record };
}

/** A record that stays odd has no living writer, and every reader would wait on it for ever. */
function settled(cpu: GuestCpu): string | undefined {
  const deadline = performance.now() + 20;
  while ((cpu.load32(PVTI.version) & 1) !== 0) {
    if (performance.now() > deadline) return 'the version stays odd, so nobody is keeping the record';
  }
  return undefined;
}

const UNSTABLE = 2n ** 64n - 1n;
const RATE_WINDOW_NS = 100_000n;

/** Says so where the clock does not advance as hrtime does: bracketed, so that a pause in between does no harm. `read`: ns. */
export function rateAgainstHrtime(read: () => bigint): string | undefined {
  const hrtime = process.hrtime.bigint;
  const bracket = () => ({ before: hrtime(), ns: read(), after: hrtime() });
  const first = bracket();
  if (first.ns === UNSTABLE) return undefined; // nothing to hold it to: the image asks the kernel
  let last = bracket();
  while (last.before - first.after < RATE_WINDOW_NS) last = bracket();
  if (last.ns === UNSTABLE) return undefined;
  const advanced = BigInt.asIntN(64, last.ns - first.ns);
  const least = ((last.before - first.after) * 98n) / 100n;
  const most = ((last.after - first.before) * 102n) / 100n;
  if (advanced >= least && advanced <= most) return undefined;
  return `it advanced ${advanced} ns while the kernel's clock advanced ${least} to ${most}`;
}
