/**
 * The VM's clock in a program, the same file in each runtime:
 *
 *   npm install kvmclock
 *   node clock.ts        (26.9 and later read the record itself: --allow-ffi where --permission is given)
 *   bun clock.ts         (process.hrtime: only Node has node:ffi)
 *   deno run clock.ts    (the same)
 */
import { openClock } from 'kvmclock';

const clock = openClock();
console.log(`source: ${clock.source}, ${clock.reason}`);
for (let reading = 0; reading < 3; reading++) console.log(`now: ${clock.now()} ns`);

// Wall time for logs, never stepping back: nanoseconds since 1970.
console.log(`epoch: ${clock.epochNow()} ns`);
