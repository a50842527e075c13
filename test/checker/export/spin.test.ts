import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../../../src/abi/pvti.ts';
import { configurationText } from '../../../src/checker/explain.ts';
import { gather } from '../../../src/checker/export/gather.ts';
import { type Model, type ModelNode, modelOf } from '../../../src/checker/export/model.ts';
import { promelaText } from '../../../src/checker/export/promela.ts';
import { matrix } from '../../../src/checker/matrix.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../../src/checker/scenarios.ts';
import type { Reader } from '../../../src/guest/cpu.ts';
import { readBegin, readCycles } from '../../../src/guest/sequence.ts';
import { spinIsMissing, spinVerdict } from '../../../tools/spin.ts';
import { compared } from '../../../tools/spin-compare.ts';

const configured = (changes: Partial<Configuration>): Configuration => ({ ...DEFAULT_CONFIGURATION, ...changes });

/** Of the matrix: today's writer through every update, each other writer through one. */
const UPDATE_OF = { '2014': 'ahead', '2015': 'unstable', xen: 'set-clock' } as const;
const CHOSEN = matrix(['sc']).filter(({ writer, update }) => writer === 'today' || UPDATE_OF[writer] === update);

const BUFFERED = [
  ...(['before', 'rfc', 'landed', 'cached', 'relaxed', 'freebsd'] as const).map((reader) => configured({ reader })),
  configured({ host: 'record0', update: 'ahead' }),
].map((configuration): Configuration => ({ ...configuration, memory: 'tso' }));

/** A tick, more updates, another number of threads, and the kernel's calls mixed in. */
const OTHERWISE = [
  configured({ ticks: 1 }),
  configured({ vcpus: 1, update: 'ahead', updates: 2 }),
  configured({ vcpus: 1, update: 'set-clock', threads: 2 }),
  configured({ calls: 2, kernel: 'mixed', reader: 'cached' }),
];

describe('Spin, on what is exported', { skip: spinIsMissing(), concurrency: 2 }, () => {
  for (const configuration of [...CHOSEN, ...BUFFERED, ...OTHERWISE]) {
    test(`finds in ${configurationText({ configuration })} what check() finds`, async () => {
      const { failure, here, inSpin } = await compared(configuration);
      assert.equal(failure, undefined);
      assert.deepEqual(inSpin, here);
    });
  }

  for (const changes of [
    { update: 'ahead' },
    { reader: 'cached', calls: 2 },
    { memory: 'tso', host: 'all' },
  ] as const) {
    const configuration = configured(changes);
    test(`comes to as many states in ${configurationText({ configuration })} as explore() with every operation a step`, async () => {
      const unreduced = ['private', 'leaving', 'own-stores', 'any-vcpu'] as const;
      const { failure, states, statesInSpin } = await compared(configuration, { unreduced });
      assert.equal(failure, undefined);
      assert.equal(statesInSpin, states + 1); // in its first one no process runs yet
    });
  }
});

const RECORD0 = configured({ host: 'record0' });

function modelOfRecord0(): Model {
  const scenario = scenarioOf(RECORD0);
  return modelOf(scenario, gather(scenario).automata);
}

/** The same model, but for the first of its nodes that `change` makes another one of. */
function changed(model: Model, change: (node: ModelNode) => ModelNode | undefined): Model {
  const at = model.nodes.findIndex((node) => change(node) !== undefined);
  return { ...model, nodes: model.nodes.with(at, change(model.nodes[at]!)!) };
}

const isReader = ({ who }: ModelNode): boolean => who === 'landed';
const shownBy = async (model: Model): Promise<readonly string[]> => {
  const { shown, failure } = await spinVerdict(promelaText(model, 'broken'));
  assert.equal(failure, undefined);
  return shown;
};

/** `landed`, but what was read stands. */
const withoutRetry: Reader = (cpu, records) => {
  readBegin(cpu, records);
  return (cpu.load8(records + PVTI.flags) & PVCLOCK_TSC_STABLE_BIT) === 0 ? undefined : readCycles(cpu, records);
};

describe('a wrong export', { skip: spinIsMissing(), concurrency: 2 }, () => {
  test('of a reader that does not look again is noticed', async () => {
    const { here, inSpin } = await compared(RECORD0, { exported: { reader: withoutRetry } });
    assert.deepEqual(here, ['retried', 'stable', 'unstable', 'updated']);
    assert.deepEqual(inSpin, ['mixed', 'own', 'stable', 'stale-use', 'torn', 'unstable', 'updated']);
  });

  test('with an edge that leads on where it should lead back is noticed', async () => {
    const broken = changed(modelOfRecord0(), (node) => {
      const back = node.edges.findIndex((edge) => edge?.retry);
      const on = node.edges.find((edge) => edge !== undefined && !edge.retry);
      return isReader(node) && back >= 0 && on !== undefined
        ? { ...node, edges: node.edges.with(back, on) }
        : undefined;
    });
    assert.notDeepEqual(await shownBy(broken), await shownBy(modelOfRecord0()));
  });

  test('that knows one answer less violates known_answer', async () => {
    const broken = changed(modelOfRecord0(), (node) =>
      isReader(node) && node.edges.length > 1 ? { ...node, edges: node.edges.slice(0, -1) } : undefined,
    );
    const { failure } = await spinVerdict(promelaText(broken, 'broken'));
    assert.match(failure ?? '', /assertion violated known_answer/);
  });

  test('whose fences do not wait for the store buffer violates known_answer', async () => {
    const scenario = scenarioOf({ ...RECORD0, memory: 'tso' });
    const text = promelaText(modelOf(scenario, gather(scenario).automata), 'broken');
    const rule = 'does[n] != FENCE && does[n] != UPDATE || length[p] == 0';
    assert.ok(text.includes(rule));
    const { failure } = await spinVerdict(text.replace(rule, 'true'));
    assert.match(failure ?? '', /assertion violated known_answer/);
  });
});
