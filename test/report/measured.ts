/** What a machine of two vCPUs may have shown. */
import { recordReport } from '../../src/guest/record-report.ts';
import type { Measured } from '../../src/report/metrics.ts';
import { RECORD } from './looks.ts';

const READERS = ['before', 'landed', 'lfence-rdtsc', 'vdso-clock-gettime', 'syscall-clock-gettime'];

export const MEASURED: Measured = {
  version: '1.2.3',
  found: true,
  records: [0, 1].map((vcpu) => recordReport(vcpu, { ...RECORD, version: 4 + vcpu }, RECORD, 60_000_000_000n)),
  changes: { unstable: 1, stable: 0, migration: 0, restore: 2, paused: 0, refresh: 7 },
  drift: [{ against: 'CLOCK_MONOTONIC_RAW', ppm: -0.25, uncertaintyPpm: 0.5, offsetNs: 1500 }],
  offsets: [{ against: 'CLOCK_MONOTONIC_RAW', offsetNs: 1500 }],
  readers: READERS.map((name, index) => ({ name, ns: { min: 9, median: 10 + index, max: 20 }, toFloor: 1 })),
  warps: { reads: 200_000, warps: 3, stalls: 4, worstNs: 250 },
};

export const NOTHING_FOUND: Measured = {
  version: '1.2.3',
  found: false,
  records: [],
  changes: undefined,
  drift: [],
  offsets: [],
  readers: [],
  warps: undefined,
};
