/** The tables of what a reading costs, for people. */
import type { JavaScriptCost, ReaderCost } from './bench.ts';
import type { Spread } from './statistics.ts';
import { type Output, styled, table } from './text.ts';

const HEADING = ['', 'ns', 'min', 'max'];
const ALIGN = ['left', 'right', 'right', 'right', 'right', 'right'] as const;

/** What was called, and what it is compared with. */
interface ReadersHeading {
  readonly what: string;
  readonly floor: string;
}

const IN_MACHINE_CODE: ReadersHeading = { what: 'a reading in machine code', floor: 'to lfence;rdtsc' };
export const IN_TYPESCRIPT: ReadersHeading = { what: 'a reading in TypeScript', floor: 'to the bare simulated TSC' };

export function readersTable(output: Output, costs: readonly ReaderCost[], { what, floor } = IN_MACHINE_CODE): string {
  const landed = costs.find(({ name }) => name === 'landed')?.ns.median;
  const rows = costs.map(({ name, ns, toFloor }) => [
    `  ${name}`,
    ...spreadCells(ns),
    times(toFloor),
    ...(landed === undefined ? [] : [times(ns.median / landed)]),
  ]);
  const heading = [what, ...HEADING.slice(1), floor, ...(landed === undefined ? [] : ['to landed'])];
  return table([heading.map((cell) => styled(output, 'bold', cell)), ...rows], ALIGN) + busyText(costs);
}

/** A floor whose rounds differ by more than this was measured beside other work. */
const BUSY = 1.25;

/** A line for readers of the table, where its ratios mean little. */
function busyText(costs: readonly ReaderCost[]): string {
  const floor = costs.find(({ toFloor }) => toFloor === 1)?.ns;
  if (floor === undefined || floor.median <= BUSY * floor.min) return '';
  return 'other work ran beside this: the floor itself was slower in half of the rounds, so its ratios say little\n';
}

export function javascriptTable(output: Output, costs: readonly JavaScriptCost[]): string {
  const rows = costs.map((c) => [`  ${c.name}`, ...spreadCells(c.ns), times(c.toHrtime), times(c.toHoisted)]);
  const heading = [...HEADING, 'to hrtime.bigint', 'to it hoisted'];
  heading[0] = 'a call from JavaScript';
  return table([heading.map((cell) => styled(output, 'bold', cell)), ...rows], ALIGN);
}

function spreadCells({ min, median, max }: Spread): string[] {
  return [median.toFixed(1), min.toFixed(1), max.toFixed(1)];
}

/** A ratio: "1.13 x". */
export function times(ratio: number): string {
  return `${ratio.toFixed(2)} x`;
}
