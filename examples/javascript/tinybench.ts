/**
 * tinybench with the VM's clock: it takes any function that gives the time. As bigint nanoseconds nothing is lost to
 * rounding, where performance.now gives milliseconds as a double.
 *
 *   npm install kvmclock tinybench
 *   node tinybench.ts
 */
import { openClock } from 'kvmclock';
import { Bench } from 'tinybench';

const clock = openClock();
const bench = new Bench({
  time: 100, // ms a task
  timestampProvider: {
    name: clock.source,
    fn: clock.now,
    fromMs: (ms) => BigInt(Math.round(ms * 1e6)),
    toMs: (ns) => Number(ns) / 1e6,
  },
});
const text = JSON.stringify({ readers: ['before', 'rfc', 'landed'] });
bench.add('JSON.parse', () => void JSON.parse(text));
bench.add('structuredClone', () => void structuredClone({ text }));
await bench.run();

for (const { name, result } of bench.tasks) {
  if (!('latency' in result)) throw new Error(`${name}: ${result.state}`);
  const { latency, timestampProviderName } = result;
  console.log(
    `${name}: ${(latency.p50 * 1e6).toFixed(0)} ns (median of ${latency.samplesCount}, ${timestampProviderName})`,
  );
}
