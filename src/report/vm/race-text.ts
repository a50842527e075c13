/** The race for people: the steps of one run with both records, what every reader returned, and the sums. */

import { PVCLOCK_TSC_STABLE_BIT, type Pvti } from '../../abi/pvti.ts';
import { formatNs } from '../../scale/duration.ts';
import { grouped, type Output, styled, table } from '../text.ts';
import type { RaceReading, RaceReport, RaceStep } from './race.ts';
import type { StaleFor } from './stale.ts';

export function raceText(report: RaceReport, staleFor: readonly StaleFor[], output: Output): string {
  const { runs, stale, clock } = report;
  const verdict = `${stale} of ${runs} runs stale: vCPU 1 had been told, and still read the old record 0`;
  const none = `0 of ${runs} runs stale: once vCPU 1 is told, record 0 is new too`;
  return [
    report.steps.map((step, index) => stepText(step, index + 1, output)).join('\n'),
    styled(output, stale > 0 ? 'red' : 'green', stale > 0 ? verdict : none) + ` (clock: ${clock})\n`,
    stale > 0 ? `at worst ${formatNs(report.worstErrorNs)} from vCPU 1's own record\n` : '',
    staleFor.length > 0 ? `\n${staleTable(staleFor, output)}` : '',
  ].join('');
}

function stepText({ what, records, readings }: RaceStep, number: number, output: Output): string {
  const rows = records.map((record, vcpu) => [`     record ${vcpu}`, ...recordCells(record)]);
  const lines = [
    `${styled(output, 'bold', `${String(number).padStart(2)}. ${what}`)}\n`,
    table(rows, ['left', 'right']),
  ];
  if (readings !== undefined) lines.push(readingsTable(readings, output));
  return lines.join('');
}

function recordCells({ version, flags, tscTimestamp, systemTime }: Pvti): string[] {
  const stable = (flags & PVCLOCK_TSC_STABLE_BIT) !== 0 ? 'stable' : 'not stable';
  return [`version ${version}`, stable, `${grouped(systemTime)} ns at TSC ${grouped(tscTimestamp)}`];
}

function readingsTable(readings: readonly RaceReading[], output: Output): string {
  const rows = readings.map(({ reader, ns, errorNs, stale }) => [
    `     ${reader}`,
    ns === null ? 'not stable' : `${grouped(ns)} ns`,
    errorNs === null || errorNs === 0n ? '' : `${formatNs(Number(errorNs))} off`,
    stale ? styled(output, 'red', 'STALE') : 'right',
  ]);
  return table(rows, ['left', 'right', 'right']);
}

function staleTable(staleFor: readonly StaleFor[], output: Output): string {
  const rows = staleFor.map(({ vcpu0, ns, ended, runs, watchedNs }) => [
    `  ${vcpu0}`,
    ended === runs ? `${formatNs(ns.median)}` : `${runs - ended} of ${runs} runs: to the end of ${formatNs(watchedNs)}`,
    ended === runs ? `${formatNs(ns.min)} to ${formatNs(ns.max)}` : '',
  ]);
  const heading = ['record 0 stays old while vCPU 0 is', 'median', 'range'].map((cell) => styled(output, 'bold', cell));
  return table([heading, ...rows]);
}
