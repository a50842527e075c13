/** The other paravirtual clocks of this machine, as the doctor tells of them: VMClock, and Hyper-V's reference TSC page. */
import { HYPERV_UNIT_NS } from '../abi/hyperv.ts';
import { VMCLOCK_STATUS } from '../abi/vmclock.ts';
import { utcNs, type VmclockTime } from '../guest/vmclock.ts';
import { type HypervPage, openHypervPage, openVmclock, type VmclockDevice } from '../machine/neighbours.ts';
import { isUnavailable, type Unavailable } from '../machine/sys.ts';
import { formatAge, formatNs } from '../scale/duration.ts';

/** What VMClock says; all but `found` is undefined where its time is not to be used. */
export interface VmclockReport {
  readonly found: true;
  /** Nanoseconds since 1970, UTC; undefined where it counts from another epoch too. */
  readonly utcNs: bigint | undefined;
  /** That less CLOCK_REALTIME, to within `uncertaintyNs`. */
  readonly offsetNs: number | undefined;
  readonly uncertaintyNs: number | undefined;
  /** A name of VMCLOCK_STATUS. */
  readonly status: string | undefined;
  /** By how much the hypervisor says that it may be off. */
  readonly maxErrorNs: bigint | undefined;
  readonly leapIndicator: number | undefined;
  readonly disruptionMarker: bigint | undefined;
  readonly vmGenerationCounter: bigint | undefined;
}

export interface HypervReport {
  readonly found: true;
  /** Nanoseconds since the VM's time was zero, in steps of 100. */
  readonly ns: bigint | undefined;
}

export interface NotFound {
  readonly found: false;
  readonly why: string;
}

export interface Neighbours {
  readonly vmclock: VmclockReport | NotFound;
  readonly hypervPage: HypervReport | NotFound;
}

/** `realtime`: CLOCK_REALTIME, ns. */
export function lookAtNeighbours(
  realtime: () => bigint,
  vmclock: VmclockDevice | Unavailable = openVmclock(),
  hypervPage: HypervPage | Unavailable = openHypervPage(),
): Neighbours {
  return {
    vmclock: isUnavailable(vmclock) ? notFound(vmclock) : vmclockReport(vmclock, realtime),
    hypervPage: isUnavailable(hypervPage) ? notFound(hypervPage) : { found: true, ns: inNs(hypervPage.read()) },
  };
}

function notFound({ unavailable }: Unavailable): NotFound {
  return { found: false, why: unavailable };
}

function inNs(units: bigint | undefined): bigint | undefined {
  return units === undefined ? undefined : units * BigInt(HYPERV_UNIT_NS);
}

/** Reads and closes it. */
function vmclockReport(device: VmclockDevice, realtime: () => bigint): VmclockReport {
  device.read(); // as slow as a first call is
  const before = realtime();
  const time = device.read();
  const widthNs = realtime() - before;
  device.close();
  const utc = time === undefined ? undefined : utcNs(time);
  return {
    found: true,
    utcNs: utc,
    offsetNs: utc === undefined ? undefined : Number(utc - before) - Number(widthNs) / 2,
    uncertaintyNs: utc === undefined ? undefined : Number(widthNs) / 2,
    status: statusName(time),
    maxErrorNs: time?.maxErrorNs,
    leapIndicator: time?.leapIndicator,
    disruptionMarker: time?.disruptionMarker,
    vmGenerationCounter: time?.vmGenerationCounter,
  };
}

function statusName(time: VmclockTime | undefined): string | undefined {
  if (time === undefined) return undefined;
  const known = Object.entries(VMCLOCK_STATUS).find(([, status]) => status === time.status);
  return known?.[0].toLowerCase() ?? String(time.status);
}

/** A line for each that is here; none for people who have neither. */
export function neighbourLines({ vmclock, hypervPage }: Neighbours): string[] {
  const lines: string[] = [];
  if (vmclock.found) lines.push(`VMClock: ${vmclockLine(vmclock)}`);
  if (hypervPage.found)
    lines.push(`Hyper-V's TSC page: ${hypervPage.ns === undefined ? 'not valid' : formatAge(Number(hypervPage.ns))}`);
  return lines;
}

function vmclockLine({ status, offsetNs, uncertaintyNs, maxErrorNs, disruptionMarker }: VmclockReport): string {
  if (status === undefined) return 'its time is not to be used';
  const apart =
    offsetNs === undefined
      ? 'another epoch than 1970'
      : `${formatNs(offsetNs)} from CLOCK_REALTIME, +- ${formatNs(uncertaintyNs!)}`;
  const error = maxErrorNs === undefined ? 'its error unknown' : `off by ${formatNs(Number(maxErrorNs))} at most`;
  return `${status}, ${apart}; ${error}; disruption marker ${disruptionMarker}`;
}
