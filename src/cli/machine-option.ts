/** Which machine doctor and bench look at. */
import { noCommonHrtime } from '../machine/runtime.ts';
import { type Option, UsageError } from './command.ts';

export const MACHINES = ['live', 'simulated'] as const;
export type MachineName = (typeof MACHINES)[number];

export const MACHINE_OPTION = {
  type: 'string',
  value: 'live|simulated',
  default: 'live',
  help: "this guest's own record (live, the default), or a simulated VM in this process",
} as const satisfies Option;

/** Throws UsageError where a simulated VM's vCPUs would have no TSC in common. */
export function refuseWithoutHrtime(): void {
  const why = noCommonHrtime();
  if (why !== undefined) throw new UsageError(`--machine simulated: ${why}; run it on Node`);
}
