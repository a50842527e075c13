/**
 * The metrics as a file that node_exporter picks up: its textfile collector reads every *.prom of a folder at each scrape.
 * The file is put in place by a rename, so that a scrape never sees half of it.
 */
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { WarpCount } from '../machine/measure.ts';
import type { DoctorReport } from './doctor.ts';
import { type Measured, metricsText } from './metrics.ts';

export const TEXTFILE = 'kvmclock.prom';

/**
 * Writes `report` into `folder`, and returns the file's path. Counts go on from those of the file that it replaces, as a
 * counter must not begin anew with every run. Throws what the file system throws, with nothing left behind.
 */
export async function writeTextfile(folder: string, report: DoctorReport, version: string): Promise<string> {
  const file = path.join(folder, TEXTFILE);
  const text = await metricsText({
    version,
    changes: undefined, // one look sees none
    ...(report.machine === 'live' ? foundBy(report, file) : NOTHING_FOUND),
  });
  const temporary = `${file}.${process.pid}`; // not *.prom: it is not picked up
  try {
    writeFileSync(temporary, text, { flag: 'wx' });
    chmodSync(temporary, 0o644); // node_exporter is another user, whatever the umask of whoever runs this
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  return file;
}

type Found = Pick<Measured, 'found' | 'records' | 'drift' | 'offsets' | 'readers' | 'warps'>;

function foundBy({ records, drift, readers, warps }: DoctorReport, file: string): Found {
  return { found: true, records, drift, offsets: drift, readers, warps: warps && goOn(previous(file), warps) };
}

/** A simulated VM that stands in for the machine's clock is none of its metrics. */
const NOTHING_FOUND: Found = { found: false, records: [], drift: [], offsets: [], readers: [], warps: undefined };

function previous(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** `text`: the metrics of the run before, or anything else. */
function goOn(text: string, { reads, warps, stalls, worstNs }: WarpCount): WarpCount {
  const before = (name: string): number => {
    const value = Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    return Number.isFinite(value) && value >= 0 ? value : 0;
  };
  return {
    reads: before('kvmclock_compared_reads_total') + reads,
    warps: before('kvmclock_warps_total') + warps,
    stalls: before('kvmclock_stalls_total') + stalls,
    worstNs: Math.max(before('kvmclock_worst_warp_seconds') * 1e9, worstNs),
  };
}
