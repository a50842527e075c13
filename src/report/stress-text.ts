/** The stress of a simulated VM for people. */
import { formatNs } from '../scale/duration.ts';
import type { StressReport } from './stress.ts';
import { grouped, type Output, styled, table } from './text.ts';

const HEADING = ['', 'readings', 'retries', 'refused', 'stalls', 'torn', 'stale', 'warps', 'worst warp'];

export function stressText(report: StressReport, output: Output): string {
  const { vcpus, seconds, updates, flavour, host, writer, base, update, readers } = report;
  const fault = (count: number): string => (count > 0 ? styled(output, 'red', grouped(count)) : grouped(count));
  const rows = [...readers, { ...report, name: 'all' }].map((counts) => [
    `  ${counts.name}`,
    ...[counts.reads, counts.retries, counts.unstable, counts.stalls].map(grouped),
    ...[counts.torn, counts.stale, counts.warps].map(fault),
    counts.warps > 0 ? formatNs(counts.worstWarpNs) : '',
  ]);
  return [
    `a simulated VM of the flavour ${flavour}: freeze ${host}, writer ${writer}, base ${base}\n`,
    `${vcpus} vCPUs read while the host makes ${grouped(updates)} updates (${update}) in ${seconds.toFixed(1)} s\n\n`,
    table(
      [HEADING.map((cell) => styled(output, 'bold', cell)), ...rows],
      ['left', ...HEADING.map(() => 'right' as const)],
    ),
  ].join('');
}
