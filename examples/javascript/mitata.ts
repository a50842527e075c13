/**
 * mitata with the VM's clock: `measure` takes a function that gives nanoseconds as a number. Its `bench` and `run` take
 * none: they measure with a clock of mitata's own choice.
 *
 *   npm install kvmclock mitata
 *   node mitata.ts
 */
import { openClock } from 'kvmclock';
import { measure } from 'mitata';

const clock = openClock();
const text = JSON.stringify({ readers: ['before', 'rfc', 'landed'] });

const { p50, samples } = await measure(() => JSON.parse(text), {
  now: clock.nowNs,
  min_cpu_time: 50e6, // ns
});
console.log(`JSON.parse: ${p50.toFixed(0)} ns (median of ${samples.length}, ${clock.source})`);
