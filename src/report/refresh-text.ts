/** The refresh histories for people. */
import type { RefreshJumps } from './refresh.ts';
import { grouped, type Output, styled, table } from './text.ts';

/** One row a flavour; all rows must be of one history. */
export function refreshTable(rows: readonly RefreshJumps[], output: Output): string {
  const heading = ['clock', 'refreshes', 'worst jump forward', 'worst step back', 'steps back', 'against the host'];
  const cells = rows.map((jumps) => [
    jumps.flavour,
    grouped(jumps.refreshes),
    `${grouped(jumps.worstForwardNs)} ns`,
    `${grouped(jumps.worstBackNs)} ns`,
    styled(output, jumps.stepsBack > 0 ? 'red' : 'green', grouped(jumps.stepsBack)),
    `${grouped(jumps.driftNs)} ns`,
  ]);
  return table([heading.map((cell) => styled(output, 'bold', cell)), ...cells], ['left', ...Array(5).fill('right')]);
}
