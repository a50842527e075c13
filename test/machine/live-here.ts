/** The live machine, or the reason for a skip. */
import type { TestContext } from 'node:test';
import { type LiveMachine, openLive } from '../../src/machine/live.ts';
import { isUnavailable, openSys, type Sys } from '../../src/machine/sys.ts';
import { skipUnless } from '../require.ts';

export function liveHere(t: TestContext): LiveMachine | undefined {
  const live = openLive();
  if (!isUnavailable(live)) return live;
  skipUnless(t, 'live', live.unavailable);
  return undefined;
}

/** libc through node:ffi, which every machine has that runs these tests. */
export function sysHere(): Sys {
  const sys = openSys();
  if (isUnavailable(sys)) throw new Error(sys.unavailable);
  return sys;
}
