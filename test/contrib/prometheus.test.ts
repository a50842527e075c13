import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { metricsText } from '../../src/report/metrics.ts';
import { MEASURED } from '../report/measured.ts';
import { serving } from '../server/serving.ts';
import { run, without } from '../tools/debian.ts';

const contrib = path.join(import.meta.dirname, '../../contrib');
const RULES = path.join(contrib, 'prometheus/kvmclock.rules.yml');
const RULES_TEST = path.join(contrib, 'prometheus/kvmclock.rules.test.yml');
const CONFIG = path.join(contrib, 'prometheus/prometheus.yml');
const DASHBOARD = path.join(contrib, 'grafana/kvmclock.json');

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-prometheus-'));
after(() => rmSync(folder, { recursive: true }));

interface Source {
  readonly type: string;
  readonly uid: string;
}

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly datasource: Source;
    readonly targets: readonly { readonly expr: string; readonly datasource: Source }[];
  }[];
  readonly annotations: { readonly list: readonly { readonly expr: string; readonly datasource: Source }[] };
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly datasource?: Source }[];
  };
}

const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;
const expressions = [
  ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.map(({ expr }) => expr),
];
const skip = without('promtool', 'prometheus');
const promtool = (...args: string[]) => run('promtool', args);

/** The metrics named in `text` that are not among those that there are. */
async function unknown(text: string): Promise<string[]> {
  const known = new Set([...(await metricsText(MEASURED)).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name));
  return [...new Set(text.match(/\bkvmclock_\w+/g))].filter((name) => !known.has(name));
}

describe('the alerts', () => {
  test('promtool has nothing against the rules and the configuration', { skip }, () => {
    for (const args of [
      ['rules', RULES],
      ['config', CONFIG],
    ]) {
      const { status, output } = promtool('check', ...args);
      assert.equal(status, 0, output);
    }
  });

  test('each alert fires on what it is for, and on nothing else', { skip }, () => {
    const { status, output } = promtool('test', 'rules', RULES_TEST);
    assert.equal(status, 0, output);
  });

  test('an alert that fires too late, too early or not at all is found', { skip }, () => {
    const rules = readFileSync(RULES, 'utf8');
    writeFileSync(path.join(folder, path.basename(RULES_TEST)), readFileSync(RULES_TEST));
    for (const [right, wrong] of [
      ['kvmclock_record_stable == 0', 'kvmclock_record_stable == 1'],
      ['for: 1m', 'for: 20m'],
      ['> 100e-6', '> 50e-6'],
      ['increase(kvmclock_warps_total[10m])', 'kvmclock_warps_total'],
    ] as const) {
      assert.ok(rules.includes(right), right);
      writeFileSync(path.join(folder, path.basename(RULES)), rules.replace(right, wrong));
      const { status, output } = promtool('test', 'rules', path.join(folder, path.basename(RULES_TEST)));
      assert.notEqual(status, 0, `${wrong}: ${output}`);
    }
  });

  test('every metric that they name is there', async () => {
    assert.deepEqual(await unknown(readFileSync(RULES, 'utf8')), []);
    assert.deepEqual(await unknown('kvmclock_record_stabel == 0'), ['kvmclock_record_stabel']);
  });
});

describe('the dashboard', () => {
  test('every metric that it names is there, and it shows every metric there is', async () => {
    assert.deepEqual(await unknown(expressions.join()), []);
    const shown = expressions.join();
    for (const [, name] of (await metricsText(MEASURED)).matchAll(/^# TYPE (\w+)/gm)) {
      assert.ok(shown.includes(`${name}{`), `${name} is not shown`);
    }
  });

  test('Prometheus understands every expression of it', { skip }, () => {
    const rules = expressions.map((expr, index) => ({
      record: `expression_${index}`,
      expr: expr.replaceAll('$__range', '1h'),
    }));
    const file = path.join(folder, 'expressions.json');
    const check = (list: object[]) => {
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: list }] })); // JSON is YAML
      return promtool('check', 'rules', file);
    };
    const { status, output } = check(rules);
    assert.equal(status, 0, output);
    assert.notEqual(check([{ record: 'wrong', expr: 'increase(kvmclock_warps_total' }]).status, 0);
  });

  test('it asks the data source that is chosen for everything, by variables that it has', () => {
    const { templating, panels, annotations, schemaVersion } = dashboard;
    assert.ok(schemaVersion >= 36, 'older ones name a data source by its name alone');
    const variables = new Map(templating.list.map((variable) => [variable.name, variable.type]));
    assert.equal(variables.get('source'), 'datasource');
    const asking = [
      ...templating.list.filter(({ type }) => type === 'query'),
      ...panels.flatMap((panel) => [panel, ...panel.targets]),
      ...annotations.list,
    ];
    for (const { datasource } of asking) {
      assert.equal(datasource?.type, 'prometheus');
      assert.match(datasource.uid, /^\$\{source\}$/);
    }
    for (const [, name] of expressions.join().matchAll(/\$(\w+)/g)) {
      assert.ok(variables.has(name!) || name!.startsWith('__'), `$${name}`);
    }
  });

  test('no two panels have one number or one place', () => {
    const { panels } = dashboard;
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    for (const [index, { title, gridPos: a }] of panels.entries()) {
      for (const { title: other, gridPos: b } of panels.slice(index + 1)) {
        const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
        assert.ok(apart, `${title} lies on ${other}`);
      }
      assert.ok(a.x + a.w <= 24, title);
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Debian's prometheus with contrib's configuration, but for the port and the interval; gives a way to ask it. */
async function prometheus(t: TestContext, scraped: number): Promise<(query: string) => Promise<unknown[]>> {
  const config = readFileSync(CONFIG, 'utf8')
    .replace('127.0.0.1:9788', `127.0.0.1:${scraped}`)
    .replace('scrape_interval: 15s', 'scrape_interval: 500ms')
    .replace('kvmclock.rules.yml', RULES);
  const file = path.join(folder, 'prometheus.yml');
  writeFileSync(file, config);
  const port = await freePort();
  const data = path.join(folder, 'data');
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${data}`, `--web.listen-address=127.0.0.1:${port}`];
  const child = spawn('prometheus', [...args, '--log.level=error'], { stdio: ['ignore', 'ignore', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return async (query) => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
      return ((await answer.json()) as { data: { result: unknown[] } }).data.result;
    } catch {
      return []; // it is not up yet
    }
  };
}

test("Debian's prometheus scrapes the server, and knows what it is told", {
  skip: without('prometheus', 'prometheus'),
}, async (t) => {
  const { port } = await serving(t, {}, { measured: MEASURED });
  const query = await prometheus(t, port);
  let up: unknown[] = [];
  while (up.length === 0) {
    up = await query('up{job="kvmclock"} == 1');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal((await query('kvmclock_record_version{vcpu="1"} == 5')).length, 1);
  assert.equal((await query('scrape_samples_scraped')).length, 1);
  assert.equal((await query(expressions[0]!.replaceAll('$instance', '.*'))).length, 1);
});
