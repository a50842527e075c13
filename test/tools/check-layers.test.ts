import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { complaintsOf } from '../../tools/check-layers.ts';

describe('complaintsOf()', () => {
  test('complaintsOf() has nothing against imports from the own folder and from below', () => {
    const text = `
      import { PVTI } from '../abi/pvti.ts';
      import type { GuestCpu } from './cpu.ts';
      export { landed } from './landed.ts';
      import {
        scaleDelta,
      } from '../scale/scale-delta.ts';
    `;
    assert.deepEqual(complaintsOf('guest/landed.ts', text), []);
    assert.deepEqual(complaintsOf('machine/sys.ts', "import fs from 'node:fs';\nimport x from '../guest/cpu.ts';"), []);
    assert.deepEqual(
      complaintsOf('web/main.ts', "import { a } from '../src/guest/change.ts';\nimport './dom.ts';"),
      [],
    );
    assert.deepEqual(complaintsOf('web/race/lane.ts', "import { a } from '../../src/checker/explore.ts';"), []);
    assert.deepEqual(complaintsOf('web/plot.ts', "import type UPlot from 'uplot';"), []);
    assert.deepEqual(complaintsOf('report/prometheus.ts', "export { Gauge } from 'prom-client';"), []);
    assert.deepEqual(complaintsOf('index.ts', "export { a } from './machine/clock.ts';"), []);
  });

  for (const [fault, file, text] of [
    ['an import that points up', 'abi/pvti.ts', "import { landed } from '../guest/landed.ts';"],
    ['a type import that points up', 'scale/timespec.ts', "import type { Clock } from '../machine/clock.ts';"],
    ['an import that points sideways', 'guest/cpu.ts', "import { publishToday } from '../hypervisor/publish.ts';"],
    ['the same the other way round', 'hypervisor/cpu.ts', "import { landed } from '../guest/landed.ts';"],
    ['an import over several lines', 'abi/msr.ts', "import {\n  landed,\n} from '../guest/landed.ts';"],
    ['a re-export', 'abi/msr.ts', "export * from '../guest/landed.ts';"],
    ['an import for its effect', 'abi/msr.ts', "import '../guest/landed.ts';"],
    ['a dynamic import', 'guest/cpu.ts', "const x = await import('../report/text.ts');"],
    ['a worker above', 'vdso/image.ts', "new Worker(new URL('../machine/kvm-worker.ts', import.meta.url))"],
    ['an import of the public names', 'report/doctor.ts', "import { openClock } from '../index.ts';"],
    ['an import out of src', 'cli/main.ts', "import { x } from '../../tools/build.ts';"],
    ['node: below the machines', 'checker/explore.ts', "import { readFileSync } from 'node:fs';"],
    ['node: for its effect', 'checker/explore.ts', "import 'node:fs';"],
    ['a package below the machines', 'vdso/x86.ts', "import { Decoder } from 'iced-x86';"],
    ['a barrel of a folder', 'cli/main.ts', "import { landed } from '../guest/index.ts';"],
    ['a package of development', 'cli/main.ts', "import { rolldown } from 'rolldown';"],
    ['a package outside of its one file', 'report/metrics.ts', "import { Gauge } from 'prom-client';"],
    ['a page that stands on Node', 'web/main.ts', "import { readFileSync } from 'node:fs';"],
    ['a page that stands on a machine', 'web/main.ts', "import { openClock } from '../src/machine/clock.ts';"],
    ['a page that stands on a report', 'web/main.ts', "import { x } from '../src/report/history.ts';"],
    ['a source file that stands on the page', 'cli/serve.ts', "import { x } from '../../web/main.ts';"],
    ['a public name from a report', 'index.ts', "export { examine } from './report/doctor.ts';"],
    ['a public name from a package', 'index.ts', "export { Gauge } from 'prom-client';"],
    ['a folder without a layer', 'utils/strings.ts', ''],
  ] as const) {
    test(`complaintsOf() has one against ${fault}`, () => {
      assert.equal(complaintsOf(file, text).length, 1, complaintsOf(file, text).join('\n'));
    });
  }

  test('complaintsOf() names file, layers and target', () => {
    assert.deepEqual(complaintsOf('guest/cpu.ts', "import { x } from '../report/text.ts';"), [
      'guest/cpu.ts (layer 1): imports report/text.ts (layer 4), which is not below it',
    ]);
  });
});
