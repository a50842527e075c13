/** Which machine doctor and bench look at. */
import type { Option } from './command.ts';

export const MACHINES = ['live', 'simulated'] as const;
export type MachineName = (typeof MACHINES)[number];

export const MACHINE_OPTION = {
  type: 'string',
  value: 'live|simulated',
  default: 'live',
  help: "this guest's own record (live, the default), or a simulated VM in this process",
} as const satisfies Option;
