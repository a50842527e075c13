/**
 * Spans of OpenTelemetry timed by the VM's clock. The SDK takes both times from its caller, so this needs no patch of it:
 * every program of the VM that does the same puts its spans on one line of time, and none ends before it began.
 *
 *   npm install kvmclock @opentelemetry/api @opentelemetry/sdk-trace-base
 *   node opentelemetry.ts
 */
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { openClock } from 'kvmclock';

const clock = openClock();
const exporter = new InMemorySpanExporter(); // in its place the exporter to your collector
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = provider.getTracer('example');

/** Runs `work` in a span of its own. */
function timed<T>(name: string, work: () => T): T {
  const span = tracer.startSpan(name, { startTime: clock.hrTime(), attributes: { 'clock.source': clock.source } });
  try {
    return work();
  } finally {
    span.end(clock.hrTime());
  }
}

timed('sum', () => Array.from({ length: 100_000 }, (_, n) => n).reduce((sum, n) => sum + n, 0));

for (const { name, startTime, endTime, duration } of exporter.getFinishedSpans()) {
  console.log(`${name}: ${JSON.stringify({ startTime, endTime, duration })}`);
}
