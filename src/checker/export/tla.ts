/**
 * A configuration as a TLA+ module, for TLC: tables, the rules of the world, and an invariant for each property; and what TLC's
 * configuration file says.
 */
import { ALWAYS, namesIn, SOMETIMES } from '../properties.ts';
import { CAPACITY } from '../store-buffers.ts';
import type { Edge } from './automata.ts';
import type { Model, ModelNode, ModelOutcome, Telling } from './model.ts';
import { TLA_RULES } from './tla-rules.ts';

const NAMES = [...ALWAYS, ...SOMETIMES].map(({ name }) => name);

/** The module called `module`, which must stand in a file of that name. `title`: what is exported, on one line. */
export function tlaText(model: Model, module: string, title: string): string {
  const line = '-'.repeat(20);
  return `${line} MODULE ${module} ${line}
(*
 * ${title}
 *
 * Prints which properties are violated, and what is seen to happen:
 *   java -cp tla2tools.jar tlc2.TLC -workers auto ${module}.tla
 * For a way there, ask for one of the invariants at the end: see ${module}.cfg.
 *)
EXTENDS Integers, Sequences, TLC

${tables(model)}${TLA_RULES}

\\* The properties: these hold where all is well ...
${ALWAYS.map(invariantText).join('')}
\\* ... and these do not: each is something that must happen in some run.
${SOMETIMES.map(invariantText).join('')}====
`;
}

/** What TLC is to look at. */
export function tlaConfiguration(): string {
  return `INIT Init
NEXT Next
CHECK_DEADLOCK FALSE
INVARIANT KnownAnswer
VIEW State
ACTION_CONSTRAINT Report
\\* To stop at a violation, with the way there, and for many machines: in place of VIEW and ACTION_CONSTRAINT
\\* INVARIANTS ${NAMES.map(invariantOf).join(' ')}
`;
}

function invariantText({ name, says }: { readonly name: string; readonly says: string }): string {
  return `${invariantOf(name)} == "${name}" \\notin found   \\* ${says}\n`;
}

function invariantOf(name: string): string {
  const words = name.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `Not${words.join('')}`;
}

function tables({
  tso,
  cells,
  shared,
  nodes,
  hosts,
  others,
  guests,
  once,
  tellings,
  told,
  outcomes,
  ticks,
}: Model): string {
  return `TSO == ${tso ? 'TRUE' : 'FALSE'}
CAPACITY == ${CAPACITY}
HOSTS == ${hosts.length}
TICKS == ${ticks}
SHARED == ${shared}
OWN == ${cells.length - shared}

\\* Nodes are numbered from 1; 0 is the end. next and left: by answer; an edge below 0 goes round a loop, 0 is not known.
Nodes == ${sequence(nodes.slice(1).map(nodeText), '\n')}
Begins == ${sequence([...hosts, ...others])}
Once == ${sequence(once.map(({ vcpu, node }) => `[vcpu |-> ${vcpu}, goes |-> ${node}]`))}
Calls == ${sequence(guests.map((calls) => sequence(calls)))}
Tellings == ${sequence(tellings.map(tellingText), '\n')}
Stamps == ${sequence(told.map(({ stamp }) => stamp))}
Readings == ${sequence(told.map(({ readings }) => sequence(readings)))}
Outcomes == ${sequence(outcomes.map(outcomeText), '\n')}
`;
}

function nodeText({ does, cell, value, pin, edges }: ModelNode): string {
  const of = (text: (edge: Edge) => number): string =>
    sequence(Array.from(edges, (edge) => (edge === undefined ? 0 : text(edge))));
  const left = does === 'count' || does === 'update' ? of((edge) => edge.left) : '<<>>';
  const next = of(({ to, retry }) => (retry ? -to : to));
  return `[does |-> "${does}", at |-> ${cell}, with |-> ${value}, pin |-> ${pin}, next |-> ${next}, left |-> ${left}]`;
}

function tellingText({ cells, counts, told }: Telling): string {
  const pairs = cells.map((cell, place) => sequence([cell, counts[place]!]));
  return `[cells |-> ${sequence(pairs)}, gives |-> ${sequence(told)}]`;
}

function outcomeText({ time, bit, found }: ModelOutcome): string {
  const names = namesIn(found).map((name) => `"${name}"`);
  return `[time |-> ${time}, bit |-> ${bit}, shows |-> {${names.join(', ')}}]`;
}

function sequence(items: readonly (string | number)[], separator = ' '): string {
  return `<<${separator === ' ' ? '' : separator}${items.join(`,${separator}`)}>>`;
}
