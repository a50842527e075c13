/** The kernel's clocks held to the kernel, for people. */
import type { ClockCheck, ClockCost } from './clocks.ts';
import { times } from './costs-text.ts';
import { grouped, type Output, styled, table } from './text.ts';

const ALIGN = ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'right'] as const;

export function clockChecksTable(output: Output, checks: readonly ClockCheck[]): string {
  const heading = ['read without the kernel', 'readings', 'outside', 'back', 'bound ns', 'most', 'off ns'];
  const rows = checks.map((check) => [
    `  ${check.kernel}`,
    grouped(check.readings),
    String(check.outside),
    String(check.stepsBack),
    check.boundNs.median.toFixed(0),
    check.boundNs.max.toFixed(0),
    check.offNs.median.toFixed(0),
  ]);
  return table([heading.map((cell) => styled(output, 'bold', cell)), ...rows], ALIGN);
}

export function clockCostsTable(output: Output, costs: readonly ClockCost[]): string {
  const heading = ['a call from JavaScript', 'ns', 'min', 'max', 'to now()'];
  const rows = costs.map(({ name, ns, toNow }) => [
    `  ${name}`,
    ...[ns.median, ns.min, ns.max].map((value) => value.toFixed(1)),
    times(toNow),
  ]);
  return table([heading.map((cell) => styled(output, 'bold', cell)), ...rows], ALIGN);
}
