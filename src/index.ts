export type { Pvti } from './abi/pvti.ts';
export { decodePvti, encodePvti, PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT } from './abi/pvti.ts';
export type { CachedLine } from './guest/cached.ts';
export type { ChangeKind, RecordChange } from './guest/change.ts';
export type { GuestCpu, GuestKernelCpu, Reader } from './guest/cpu.ts';
export { READERS, type ReaderName } from './guest/readers.ts';
export { type Clock, type ClockOptions, openClock } from './machine/clock.ts';
export { scaleDelta } from './scale/scale-delta.ts';
export { type TimeScale, timeScale, tscKhz, tscToNs } from './scale/time-scale.ts';
