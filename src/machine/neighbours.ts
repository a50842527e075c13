/**
 * The other paravirtual clocks that a Linux guest may meet, where this machine has them: VMClock's device, and Hyper-V's
 * page in the vDSO's mapping. Each is probed as the live record is: nothing is loaded that the kernel has not read for us.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { HYPERV_UNIT_NS } from '../abi/hyperv.ts';
import { VMCLOCK_BYTES } from '../abi/vmclock.ts';
import type { GuestCpu } from '../guest/cpu.ts';
import { readHypervPage } from '../guest/hyperv.ts';
import { isVmclock, readVmclock, type VmclockTime } from '../guest/vmclock.ts';
import { loadClock } from './clock-image.ts';
import { rateAgainstHrtime } from './live.ts';
import { pageCpu } from './page-cpu.ts';
import {
  isUnavailable,
  MAP_SHARED,
  O_CLOEXEC,
  O_RDONLY,
  openSys,
  PAGE_BYTES,
  PROT_READ,
  type Sys,
  SystemCallError,
  type Unavailable,
} from './sys.ts';
import { hypervPageFromMaps } from './vvar.ts';

const VMCLOCK_DEVICE = '/dev/vmclock0';

/** A page that is written for longer has lost its writer. */
const MOST_WAIT_MS = 100;

/** VMClock, mapped. */
export interface VmclockDevice {
  /**
   * The time now; undefined where the page says that it cannot be relied on, or has been half written for 100 ms. Throws once
   * the device is closed.
   */
  read(): VmclockTime | undefined;
  close(): void;
}

/** Maps /dev/vmclock0, or any file that holds such a page; says why where it cannot. Never throws. */
export function openVmclock(device = VMCLOCK_DEVICE): VmclockDevice | Unavailable {
  const sys = openSys();
  if (isUnavailable(sys)) return sys;
  const length = BigInt(PAGE_BYTES);
  let address: bigint;
  try {
    address = mapFile(sys, device, length);
  } catch (error) {
    if (error instanceof SystemCallError) return { unavailable: error.message };
    throw error;
  }
  let isOpen = true;
  const close = () => {
    if (isOpen) sys.libc.munmap(address, length);
    isOpen = false;
  };
  const refuse = (unavailable: string): Unavailable => {
    close();
    return { unavailable };
  };
  if (!sys.readable(address, VMCLOCK_BYTES)) return refuse(`${device} cannot be read where it is mapped`);
  const cpu = pageCpu(sys.view(address, PAGE_BYTES), loadClock(sys));
  if (!isVmclock(cpu, 0)) return refuse(`${device} holds no VMClock of a version that is known here`);
  const readInTime = withDeadline(cpu, (patient) => readVmclock(patient, 0));
  const read = () => {
    if (!isOpen) throw new Error(`${device} is closed: open it again to read it`);
    return readInTime();
  };
  return { read, close };
}

/** Thrown out of a reader's retry loop. */
class StillWritten extends Error {}

/** `read` with an end: undefined where it goes round for MOST_WAIT_MS. */
function withDeadline<T>(cpu: GuestCpu, read: (cpu: GuestCpu) => T): () => T | undefined {
  let deadlineMs: number | undefined;
  const relax = () => {
    deadlineMs ??= performance.now() + MOST_WAIT_MS;
    if (performance.now() > deadlineMs) throw new StillWritten();
  };
  const patient = { ...cpu, relax };
  return () => {
    deadlineMs = undefined;
    try {
      return read(patient);
    } catch (error) {
      if (error instanceof StillWritten) return undefined;
      throw error;
    }
  };
}

function mapFile(sys: Sys, file: string, length: bigint): bigint {
  const fd = sys.check(`open ${file}`, sys.libc.open(file, O_RDONLY | O_CLOEXEC));
  try {
    return sys.check(`mmap ${file}`, sys.libc.mmap(0n, length, PROT_READ, MAP_SHARED, fd, 0n));
  } finally {
    sys.libc.close(fd);
  }
}

/** Hyper-V's reference TSC page. */
export interface HypervPage {
  /** Units of 100 ns since the VM's time was zero; undefined while the page is not valid. */
  read(): bigint | undefined;
}

/** Hyper-V's page behind that of the records, where the guest kernel uses it; says why where there is none. Never throws. */
export function openHypervPage(): HypervPage | Unavailable {
  const sys = openSys();
  if (isUnavailable(sys)) return sys;
  const address = hypervAddress();
  if (address === undefined) return { unavailable: "this kernel maps no page for Hyper-V's clock into the process" };
  return hypervPageAt(sys, address);
}

/** The page at `address`, which may be anything: one that cannot be read, is not valid, or is no clock is refused. */
export function hypervPageAt(sys: Sys, address: bigint): HypervPage | Unavailable {
  if (!sys.readable(address, PAGE_BYTES)) {
    return {
      unavailable:
        "the page for Hyper-V's clock cannot be read: the kernel backs it where it uses that clock, and only there",
    };
  }
  const cpu = pageCpu(sys.view(address, PAGE_BYTES), loadClock(sys));
  const read = () => readHypervPage(cpu, 0);
  if (read() === undefined) return { unavailable: "Hyper-V's page says that it is not valid" };
  const rate = rateAgainstHrtime(() => (read() ?? 0n) * BigInt(HYPERV_UNIT_NS));
  return rate === undefined ? { read } : { unavailable: `what should be Hyper-V's page is no clock: ${rate}` };
}

function hypervAddress(): bigint | undefined {
  try {
    return hypervPageFromMaps(readFileSync('/proc/self/maps', 'utf8'), release());
  } catch {
    return undefined;
  }
}
