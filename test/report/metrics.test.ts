import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { metricsText } from '../../src/report/metrics.ts';
import { run, without } from '../tools/debian.ts';
import { MEASURED, NOTHING_FOUND } from './measured.ts';

/** name{labels} -> value */
function seriesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

describe('metricsText()', () => {
  test('metricsText() gives every quantity in base units', async () => {
    const series = seriesOf(await metricsText(MEASURED));
    for (const [name, value] of [
      [`kvmclock_build_info{version="1.2.3",node="${process.version}"}`, 1],
      ['kvmclock_record_found', 1],
      ['kvmclock_record_version{vcpu="1"}', 5],
      ['kvmclock_record_stable{vcpu="0"}', 1],
      ['kvmclock_record_age_seconds{vcpu="0"}', 60],
      ['kvmclock_record_apart_seconds{vcpu="1"}', 0],
      ['kvmclock_vcpu_stopped{vcpu="0"}', 0],
      ['kvmclock_tsc_frequency_hertz{vcpu="0"}', 1e9],
      ['kvmclock_record_changes_total{kind="restore"}', 2],
      ['kvmclock_record_changes_total{kind="stable"}', 0],
      ['kvmclock_offset_seconds{against="CLOCK_MONOTONIC_RAW"}', 1500 / 1e9],
      ['kvmclock_drift_ratio{against="CLOCK_MONOTONIC_RAW"}', -0.25 / 1e6],
      ['kvmclock_drift_uncertainty_ratio{against="CLOCK_MONOTONIC_RAW"}', 0.5 / 1e6],
      ['kvmclock_read_cost_seconds{reader="landed"}', 11 / 1e9],
      ['kvmclock_compared_reads_total', 200_000],
      ['kvmclock_warps_total', 3],
      ['kvmclock_stalls_total', 4],
      ['kvmclock_worst_warp_seconds', 250 / 1e9],
    ] as const) {
      assert.equal(series.get(name), value, name);
    }
  });

  test('metricsText() says that there is no record, and leaves out what is not known', async () => {
    const series = seriesOf(await metricsText(NOTHING_FOUND));
    assert.deepEqual(
      [...series.keys()].map((name) => name.split('{')[0]),
      ['kvmclock_build_info', 'kvmclock_record_found'],
    );
    assert.equal(series.get('kvmclock_record_found'), 0);
  });

  const skip = without('promtool', 'prometheus');

  test('promtool has nothing against what metricsText() gives', { skip }, async () => {
    for (const measured of [MEASURED, NOTHING_FOUND]) {
      const { status, output } = run('promtool', ['check', 'metrics'], await metricsText(measured));
      assert.equal(status, 0, output);
      assert.equal(output, '');
    }
  });

  test('promtool finds what is wrong in metrics with a unit or an ending missing', { skip }, async () => {
    const text = await metricsText(MEASURED);
    for (const [right, wrong] of [
      ['kvmclock_warps_total', 'kvmclock_warps'],
      ['kvmclock_offset_seconds', 'kvmclock_offset_milliseconds'],
    ] as const) {
      const { status, output } = run('promtool', ['check', 'metrics'], text.replaceAll(right, wrong));
      assert.notEqual(status, 0, wrong);
      assert.match(output, new RegExp(wrong));
    }
  });
});
