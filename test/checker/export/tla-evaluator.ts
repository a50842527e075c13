/**
 * Explores a module as TLC does: the states that Init allows, and those that Next leads to from them. Slow, and for what is exported
 * alone.
 */
import type { Definition, Expression } from './tla-expressions.ts';
import { definitionsIn } from './tla-parser.ts';
import { applied, combined, prefixed, textOf, type Value } from './tla-values.ts';

type State = Readonly<Record<string, Value>> & { readonly found?: ReadonlySet<string> };

/** What names stand for, the innermost first; a definition is evaluated where it is used, once if it has no parameters. */
interface Scope {
  readonly own: Map<string, { readonly definition: Definition; readonly scope: Scope } | { readonly value: Value }>;
  readonly outer: Scope | undefined;
}

/** A state, and what is known of the next. */
interface Step {
  readonly now: State;
  readonly next: State;
}

export interface Explored {
  readonly states: number;
  /** Of every state, the values of the variable `found`. */
  readonly found: ReadonlySet<string>;
  /** Invariants that do not hold in some state. */
  readonly violated: ReadonlySet<string>;
}

/** `state`: what tells states apart, by a definition's name; `invariants`: likewise. */
export function exploreModule(module: string, variables: readonly string[], invariants: readonly string[]): Explored {
  const top: Scope = { own: new Map(), outer: undefined };
  for (const definition of definitionsIn(module)) top.own.set(definition.name, { definition, scope: top });
  const evaluator = new Evaluator(top, variables);
  const seen = new Set<string>();
  const found = new Set<string>();
  const violated = new Set<string>();
  const queue: State[] = [];
  const reach = (states: Iterable<State>): void => {
    for (const state of states) {
      for (const name of state.found ?? []) found.add(name);
      const key = textOf(evaluator.valueOf('State', state));
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push(state);
      for (const name of invariants) if (evaluator.valueOf(name, state) === false) violated.add(name);
    }
  };
  reach(evaluator.initial());
  for (let at = 0; at < queue.length; at++) reach(evaluator.successors(queue[at]!));
  return { states: seen.size, found, violated };
}

class Evaluator {
  readonly #top: Scope;
  readonly #variables: ReadonlySet<string>;
  /** Of definitions that no state is needed for. */
  readonly #constants = new Map<Definition, Value>();

  constructor(top: Scope, variables: readonly string[]) {
    this.#top = top;
    this.#variables = new Set(variables);
  }

  valueOf(name: string, now: State): Value {
    return this.#value({ kind: 'name', name, args: [] }, this.#top, { now, next: {} });
  }

  /** Init says of each variable what it is: as Next does of a primed one. */
  *initial(): Generator<State> {
    for (const { next } of this.#act({ kind: 'name', name: 'Init', args: [] }, this.#top, { now: {}, next: {} })) {
      yield next;
    }
  }

  *successors(now: State): Generator<State> {
    for (const { next } of this.#act({ kind: 'name', name: 'Next', args: [] }, this.#top, { now, next: {} })) {
      yield next;
    }
  }

  /** Every way in which an action can be true. */
  *#act(of: Expression, scope: Scope, step: Step): Generator<Step> {
    if (of.kind === 'infix' && of.op === '/\\') {
      for (const half of this.#act(of.left, scope, step)) yield* this.#act(of.right, scope, half);
    } else if (of.kind === 'infix' && of.op === '\\/') {
      yield* this.#act(of.left, scope, step);
      yield* this.#act(of.right, scope, step);
    } else if (of.kind === 'some') {
      for (const value of this.#value(of.over, scope, step) as ReadonlySet<Value>) {
        yield* this.#act(of.of, bound(scope, [of.name], [value]), step);
      }
    } else if (of.kind === 'let') yield* this.#act(of.of, defined(scope, of.definitions), step);
    else if (of.kind === 'prefix' && of.op === 'UNCHANGED') {
      const next = { ...step.next };
      for (const name of this.#variablesIn(of.of, scope)) next[name] = step.now[name]!;
      yield { now: step.now, next };
    } else if (of.kind === 'infix' && of.op === '=' && this.#isAssigned(of.left, step)) {
      const { name } = of.left as { name: string };
      yield { now: step.now, next: { ...step.next, [name]: this.#value(of.right, scope, step) } };
    } else if (of.kind === 'name' && this.#find(of.name, scope) !== undefined) {
      const { definition, scope: outer } = this.#find(of.name, scope) as { definition: Definition; scope: Scope };
      const args = of.args.map((arg) => this.#value(arg, scope, step));
      yield* this.#act(definition.body, bound(outer, definition.params, args), step);
    } else if (this.#value(of, scope, step) === true) yield step;
  }

  /** True of a variable that is given its value here: primed, or where there is no state yet. */
  #isAssigned(left: Expression, { now }: Step): boolean {
    return left.kind === 'prime' || (left.kind === 'name' && this.#variables.has(left.name) && !(left.name in now));
  }

  #variablesIn(of: Expression, scope: Scope): string[] {
    if (of.kind === 'sequence') return of.items.flatMap((item) => this.#variablesIn(item, scope));
    const { name } = of as { name: string };
    if (this.#variables.has(name)) return [name];
    return this.#variablesIn((this.#find(name, scope) as { definition: Definition }).definition.body, scope);
  }

  #find(name: string, scope: Scope) {
    for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
      const found = at.own.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #value(of: Expression, scope: Scope, step: Step): Value {
    const value = (inner: Expression, within = scope): Value => this.#value(inner, within, step);
    switch (of.kind) {
      case 'value':
        return of.value;
      case 'name':
        return this.#named(of.name, of.args, scope, step);
      case 'prime':
        return step.next[of.name]!;
      case 'apply':
        return applied(value(of.of), value(of.to));
      case 'infix':
        return this.#infix(of.op, of.left, of.right, scope, step);
      case 'prefix':
        return prefixed(of.op, value(of.of));
      case 'if':
        return value(of.test) === true ? value(of.yes) : value(of.no);
      case 'let':
        return value(of.of, defined(scope, of.definitions));
      case 'function':
        return new Map(
          [...(value(of.over) as ReadonlySet<Value>)].map((at) => [at, value(of.of, bound(scope, [of.name], [at]))]),
        );
      case 'record':
        return new Map(of.fields.map(([name, field]) => [name, value(field)]));
      case 'except': {
        const all = value(of.of) as ReadonlyMap<Value, Value>;
        const at = value(of.at);
        return new Map(all).set(at, value(of.to, bound(scope, ['@'], [all.get(at)!])));
      }
      case 'sequence':
        return of.items.map((item) => value(item));
      case 'set':
        return new Set(of.items.map((item) => value(item)));
      case 'some':
      case 'all': {
        const each = [...(value(of.over) as ReadonlySet<Value>)].map((at) =>
          value(of.of, bound(scope, [of.name], [at])),
        );
        return of.kind === 'some' ? each.includes(true) : !each.includes(false);
      }
      default:
        throw new Error(`TLA+: a ${of.kind} has no value here`);
    }
  }

  #named(name: string, args: readonly Expression[], scope: Scope, step: Step): Value {
    const found = this.#find(name, scope);
    if (found === undefined) {
      if (this.#variables.has(name)) {
        if (!(name in step.now)) throw new Error(`TLA+: ${name} has no value yet`);
        return step.now[name]!;
      }
      return this.#builtIn(name, args, scope, step);
    }
    if ('value' in found) return found.value;
    const { definition, scope: outer } = found;
    if (definition.params.length > 0) {
      const values = args.map((arg) => this.#value(arg, scope, step));
      return this.#value(definition.body, bound(outer, definition.params, values), step);
    }
    const known = this.#constants.get(definition);
    if (known !== undefined) return known;
    const value = this.#value(definition.body, outer, step);
    if (outer !== this.#top) outer.own.set(name, { value });
    else if (/^[A-Z]/.test(name) && !needsState(definition.body, this.#variables))
      this.#constants.set(definition, value);
    return value;
  }

  #builtIn(name: string, args: readonly Expression[], scope: Scope, step: Step): Value {
    const [first, ...others] = args.map((arg) => (arg.kind === 'lambda' ? [] : this.#value(arg, scope, step)));
    const sequence = first as readonly Value[];
    if (name === 'Len') return sequence.length;
    if (name === 'Head') return sequence[0]!;
    if (name === 'Tail') return sequence.slice(1);
    if (name === 'Append') return [...sequence, others[0]!];
    const test = args[1];
    if (name !== 'SelectSeq' || test?.kind !== 'lambda') throw new Error(`TLA+: nobody has defined ${name}`);
    return sequence.filter((item) => this.#value(test.of, bound(scope, test.params, [item]), step) === true);
  }

  #infix(op: string, left: Expression, right: Expression, scope: Scope, step: Step): Value {
    const a = this.#value(left, scope, step);
    if (op === '/\\' && a === false) return false;
    if (op === '\\/' && a === true) return true;
    return combined(op, a, this.#value(right, scope, step));
  }
}

function needsState(of: unknown, variables: ReadonlySet<string>): boolean {
  return [...JSON.stringify(of).matchAll(/"name":"(\w+)"/g)].some(([, name]) => variables.has(name!));
}

function bound(outer: Scope, names: readonly string[], values: readonly Value[]): Scope {
  return { own: new Map(names.map((name, index) => [name, { value: values[index]! }])), outer };
}

function defined(outer: Scope, definitions: readonly Definition[]): Scope {
  const scope: Scope = { own: new Map(), outer };
  for (const definition of definitions) scope.own.set(definition.name, { definition, scope });
  return scope;
}
