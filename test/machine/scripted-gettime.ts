/** A clock_gettime by script, in libc's place. */
import type { Sys } from '../../src/machine/sys.ts';
import { NSEC_PER_SEC } from '../../src/scale/timespec.ts';

type Gettime = Sys['libc']['clock_gettime'];

/** `ns`: what a clock shows, by its number. */
export function scriptedGettime({ view }: Sys, ns: (clock: number) => bigint): Gettime {
  const gettime = (...[clock, address]: Parameters<Gettime>): number => {
    if (typeof address !== 'bigint') throw new TypeError('the timespec is given by its address');
    const now = ns(clock);
    new BigInt64Array(view(address, 16)).set([now / NSEC_PER_SEC, now % NSEC_PER_SEC]);
    return 0;
  };
  return Object.assign(gettime, { pointer: 0n });
}

/** `sys` with such a clock. */
export function withGettime(sys: Sys, ns: (clock: number) => bigint): Sys {
  return { ...sys, libc: { ...sys.libc, clock_gettime: scriptedGettime(sys, ns) } };
}
