import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from '../../../src/checker/explore.ts';
import { Automata } from '../../../src/checker/export/automata.ts';
import { gather } from '../../../src/checker/export/gather.ts';
import { modelOf } from '../../../src/checker/export/model.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../../src/checker/scenarios.ts';
import { makeWorld } from '../../../src/checker/world.ts';

const scenario = (changes: Partial<Configuration>) => scenarioOf({ ...DEFAULT_CONFIGURATION, ...changes });

describe('gather()', () => {
  test("gather() knows from two threads' parts all that is found of the whole", () => {
    const whole = scenario({ host: 'record0', threads: 2, calls: 2 });
    const { automata, complete } = gather(whole);
    const nodes = automata.nodes.length;
    const exploration = explore(makeWorld(whole));
    assert.ok(complete && exploration.complete);
    assert.ok(exploration.states > 2_000_000);
    automata.add(exploration.world);
    assert.equal(automata.nodes.length, nodes);
  });

  test('gather() says that it is not complete where a search was cut off', () => {
    assert.equal(gather(scenario({}), { bounds: { states: 100, bytes: 2 ** 20 } }).complete, false);
  });
});

describe('Automata.add()', () => {
  test('add() of a part and then of the whole comes to what add() of the whole does', () => {
    const whole = makeWorld(scenario({}));
    explore(whole);
    const part = makeWorld(whole.scenario);
    explore(part, { bounds: { states: 2000, bytes: 2 ** 20 } });
    const [grown, direct] = [new Automata(), new Automata()];
    grown.add(part);
    const before = grown.nodes.length;
    grown.add(whole);
    direct.add(whole);
    assert.ok(before < grown.nodes.length);
    assert.equal(grown.nodes.length, direct.nodes.length);
    const edges = ({ nodes }: Automata): number => nodes.flatMap((node) => node.edges.filter((edge) => edge)).length;
    assert.equal(edges(grown), edges(direct));
  });
});

describe('modelOf()', () => {
  test('modelOf() leaves out what nobody writes, and begins every thread at a node of its own', () => {
    const exported = scenario({ reader: 'cached', vcpus: 1, update: 'ahead', threads: 2 });
    const { cells, shared, nodes, hosts, others, guests, once } = modelOf(exported, gather(exported).automata);
    assert.ok(cells.some(({ name }) => name === 'record 0 version'));
    assert.ok(!cells.some(({ name }) => name === 'onlineVcpus'));
    assert.deepEqual(
      cells.slice(shared).map(({ name }) => name),
      ['line version', 'line tscTimestamp', 'line systemTime', 'line mul', 'line shift'],
    );
    assert.deepEqual([hosts.length, others.length, once.length], [1, 1, 0]);
    assert.equal(guests[0]![0], guests[1]![0]);
    assert.deepEqual(
      [...hosts, ...others, guests[0]![0]!].map((node) => nodes[node]!.who),
      ["vCPU 0's thread", 'the updater', 'cached'],
    );
  });

  test('modelOf() refuses more values than a byte of the state holds', () => {
    const exported = scenario({});
    const { automata } = gather(exported);
    for (let value = 0; value < 256; value++) automata.values[0]!.push({ value, stamp: 9 });
    assert.throws(() => modelOf(exported, automata), { name: 'RangeError', message: /ask for fewer updates/ });
  });
});
