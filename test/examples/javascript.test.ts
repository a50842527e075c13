import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openClock } from '../../src/machine/clock.ts';
import { bundle } from '../../tools/bundle.ts';
import { missingRuntime, otherRuntime } from '../../tools/other-runtimes.ts';

const root = path.join(import.meta.dirname, '../..');
/** A project with the examples in it, and the package as built. */
const project = mkdtempSync(path.join(tmpdir(), 'kvmclock-javascript-'));
const clock = openClock();

before(async () => {
  cpSync(path.join(root, 'examples/javascript'), project, { recursive: true });
  writeFileSync(path.join(project, 'package.json'), '{ "type": "module", "private": true }');
  const modules = path.join(project, 'node_modules');
  mkdirSync(path.join(modules, 'kvmclock'), { recursive: true });
  copyFileSync(path.join(root, 'package.json'), path.join(modules, 'kvmclock/package.json'));
  await bundle(path.join(modules, 'kvmclock/dist'));
  for (const name of ['@opentelemetry', 'tinybench', 'mitata']) {
    symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  }
});
after(() => rmSync(project, { recursive: true }));

function output(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: project, encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

const byNode = (file: string): string => output(process.execPath, ['--disable-warning=ExperimentalWarning', file]);

/** The clock's nanoseconds go on, and its wall time lies between this process's own around it. */
function holdClock(text: string, source: string, earlierMs: number, laterMs: number): void {
  assert.equal(/^source: (\w+), \S/m.exec(text)?.[1], source, text);
  const readings = Array.from(text.matchAll(/^now: (\d+) ns$/gm), ([, ns]) => BigInt(ns!));
  assert.equal(readings.length, 3);
  assert.ok(readings[0]! <= readings[1]! && readings[1]! <= readings[2]!, text);
  const epochMs = Number(/^epoch: (\d+) ns$/m.exec(text)![1]!) / 1e6;
  assert.ok(earlierMs - 2 <= epochMs && epochMs <= laterMs + 2, `${earlierMs} ${epochMs} ${laterMs}`);
}

describe('the examples in JavaScript', () => {
  test('clock.ts reads the clock under Node: on the live record this very clock', () => {
    const [earlier, earlierMs] = [clock.now(), Date.now()];
    const text = byNode('clock.ts');
    holdClock(text, clock.source, earlierMs, Date.now());
    const ns = BigInt(/^now: (\d+) ns$/m.exec(text)![1]!);
    if (clock.source === 'pvclock') assert.ok(earlier < ns && ns < clock.now(), `${earlier} ${ns}`);
  });

  for (const [runtime, args] of [
    ['bun', ['clock.ts']],
    ['deno', ['run', '--node-modules-dir=manual', 'clock.ts']],
  ] as const) {
    test(`clock.ts reads the clock under ${runtime}`, (t) => {
      const command = otherRuntime(runtime);
      if (command === undefined) return t.skip(missingRuntime(runtime));
      const earlierMs = Date.now();
      const text = output(command, args);
      holdClock(text, 'hrtime', earlierMs, Date.now());
      assert.match(text, new RegExp(`^source: hrtime, ${runtime} \\d\\S* has no node:ffi`));
    });
  }

  test('serve-clock-msrs.ts serves a guest its clock', () => {
    const [, first, second] = /^the guest's clock: (\d+) ns, then (\d+) ns\n$/.exec(byNode('serve-clock-msrs.ts'))!;
    assert.ok(BigInt(first!) < BigInt(second!));
  });

  test('opentelemetry.ts ends a span with the times of our clock', () => {
    const earlier = clock.epochNow();
    const text = byNode('opentelemetry.ts');
    const { startTime, endTime, duration } = JSON.parse(/^sum: (.*)$/m.exec(text)![1]!);
    const [start, end, lasted] = [startTime, endTime, duration].map(
      ([seconds, ns]: [number, number]) => BigInt(seconds) * 1_000_000_000n + BigInt(ns),
    ) as [bigint, bigint, bigint];
    assert.equal(end - start, lasted);
    assert.ok(lasted > 0n);
    const slack = 2_000_000n;
    assert.ok(earlier - slack <= start && end <= clock.epochNow() + slack, text);
  });

  test('tinybench.ts measures by our clock', () => {
    const text = byNode('tinybench.ts');
    for (const name of ['JSON.parse', 'structuredClone']) {
      const [, median, samples] = new RegExp(`^${name}: (\\d+) ns \\(median of (\\d+), ${clock.source}\\)$`, 'm').exec(
        text,
      )!;
      assert.ok(Number(median) > 0 && Number(samples) > 1, text);
    }
  });

  test('mitata.ts measures by our clock', () => {
    const text = byNode('mitata.ts');
    const [, median, samples] = new RegExp(
      `^JSON\\.parse: (\\d+) ns \\(median of (\\d+), ${clock.source}\\)$`,
      'm',
    ).exec(text)!;
    assert.ok(Number(median) > 0 && Number(samples) > 1, text);
  });

  test('tinybench and mitata take the clock that they are given', async () => {
    const { Bench } = await import('tinybench');
    const { measure } = await import('mitata');
    const calls = { tinybench: 0, mitata: 0 };
    const fn = () => BigInt(++calls.tinybench) * 1_000_000n;
    const provider = {
      name: 'steps',
      fn,
      fromMs: (ms: number) => BigInt(ms * 1e6),
      toMs: (ns: bigint | number) => Number(ns) / 1e6,
    };
    const bench = new Bench({ time: 10, iterations: 1, warmup: false, timestampProvider: provider });
    bench.add('nothing', () => {});
    await bench.run();
    const [task] = bench.tasks;
    assert.ok(task !== undefined && 'latency' in task.result);
    assert.equal(task.result.latency.p50, 1); // one step of 1 ms a reading, whatever the real time
    const { p50 } = await measure(() => {}, {
      now: () => ++calls.mitata * 1e6,
      min_cpu_time: 20e6,
      batch_threshold: 0,
    });
    assert.equal(p50, 1e6);
  });
});
