/**
 * Reads as much of TLA+ as is exported: definitions, and expressions with lists of conjuncts and disjuncts by their columns, LET, IF,
 * CASE, functions, records, sequences, sets, quantifiers and primes.
 */

import type { Definition, Expression } from './tla-expressions.ts';

interface Token {
  readonly text: string;
  readonly column: number;
}

const TOKEN = /"[^"]*"|[A-Za-z_]\w*|\d+|\/\\|\\\/|\\\w+|\|->|->|==|<<|>>|\.\.|<=|>=|\[\]|[-+*=#<>~(){}[\],:;!@'.\\]/g;

const PRECEDENCE: Readonly<Record<string, number>> = {
  '/\\': 3,
  '\\/': 3,
  ...Object.fromEntries(['=', '#', '<', '>', '<=', '>=', '\\in', '\\notin', '\\subseteq'].map((op) => [op, 5])),
  '\\union': 8,
  '\\': 8,
  '..': 9,
  '+': 10,
  '-': 10,
  '*': 13,
};
const NOT = 4;
const TIGHT = 12;

/** The definitions of a module; ASSUME and temporal formulas are left out. */
export function definitionsIn(module: string): Definition[] {
  const body = module
    .replace(/\(\*[\s\S]*?\*\)|\\\*.*/g, '')
    .replace(/^VARIABLES[\w\s,]*?\n\n/m, '')
    .replace(/^====[\s\S]*/m, '')
    .replace(/^(-+ MODULE|EXTENDS|Spec ==|ASSUME|RECURSIVE) .*$/gm, '');
  const tokens = body
    .split('\n')
    .flatMap((line) => [...line.matchAll(TOKEN)].map((match): Token => ({ text: match[0], column: match.index })));
  return new Parser(tokens).definitions(() => false);
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  /** A token at this column or before it is behind the end of the item of a list. */
  #limit = -1;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  definitions(isEnd: () => boolean): Definition[] {
    const all: Definition[] = [];
    while (this.#at < this.#tokens.length && !isEnd()) {
      const name = this.#take();
      const params = this.#skip('(') ? this.#list(')', () => this.#take()) : [];
      this.#expect('==');
      all.push({ name, params, body: this.#expression(0) });
    }
    return all;
  }

  #peek(): string {
    const token = this.#tokens[this.#at];
    return token === undefined || token.column <= this.#limit ? '' : token.text;
  }
  #take(): string {
    const text = this.#peek();
    if (text === '') throw new Error(`TLA+: it ends before ${JSON.stringify(this.#tokens[this.#at]?.text)}`);
    this.#at++;
    return text;
  }
  #skip(text: string): boolean {
    if (this.#peek() !== text) return false;
    this.#at++;
    return true;
  }
  #expect(text: string): void {
    const found = this.#take();
    if (found !== text) throw new Error(`TLA+: ${text} was expected, not ${found}`);
  }

  /** Within brackets columns do not matter. */
  #list<Item>(end: string, item: () => Item): Item[] {
    const limit = this.#limit;
    this.#limit = -1;
    const items: Item[] = [];
    while (!this.#skip(end)) {
      items.push(item());
      if (this.#peek() !== end) this.#expect(',');
    }
    this.#limit = limit;
    return items;
  }

  #expression(least: number): Expression {
    let left = this.#prefix();
    for (;;) {
      const op = this.#peek();
      const precedence = PRECEDENCE[op] ?? -1;
      if (precedence < least || precedence < 0) return left;
      this.#at++;
      left = { kind: 'infix', op, left, right: this.#expression(precedence + 1) };
    }
  }

  #prefix(): Expression {
    const op = this.#peek();
    if (op === '/\\' || op === '\\/') return this.#bulleted(op);
    if (op !== '~' && op !== '-' && op !== 'DOMAIN' && op !== 'UNCHANGED') return this.#applied();
    this.#at++;
    return { kind: 'prefix', op, of: this.#expression(op === '~' ? NOT : TIGHT) };
  }

  /** Items under one another, each of which ends where something stands at the column of the bullets, or before it. */
  #bulleted(op: string): Expression {
    const { column } = this.#tokens[this.#at]!;
    const limit = this.#limit;
    let all: Expression | undefined;
    while (this.#peek() === op && this.#tokens[this.#at]!.column === column) {
      this.#at++;
      this.#limit = column;
      const item = this.#expression(0);
      this.#limit = limit;
      all = all === undefined ? item : { kind: 'infix', op, left: all, right: item };
    }
    return all!;
  }

  #applied(): Expression {
    let of = this.#primary();
    for (;;) {
      if (this.#skip('[')) {
        const [to] = this.#list(']', () => this.#expression(0));
        of = { kind: 'apply', of, to: to! };
      } else if (this.#skip('.')) {
        of = { kind: 'apply', of, to: { kind: 'value', value: this.#take() } };
      } else if (of.kind === 'name' && this.#skip("'")) of = { kind: 'prime', name: of.name };
      else return of;
    }
  }

  #primary(): Expression {
    const text = this.#take();
    if (text.startsWith('"')) return { kind: 'value', value: text.slice(1, -1) };
    if (/^\d/.test(text)) return { kind: 'value', value: Number(text) };
    switch (text) {
      case 'TRUE':
      case 'FALSE':
        return { kind: 'value', value: text === 'TRUE' };
      case '(':
        return this.#list(')', () => this.#expression(0))[0]!;
      case '<<':
        return { kind: 'sequence', items: this.#list('>>', () => this.#expression(0)) };
      case '{':
        return { kind: 'set', items: this.#list('}', () => this.#expression(0)) };
      case '[':
        return this.#bracketed();
      case 'IF':
        return this.#if();
      case 'CASE':
        return this.#case();
      case 'LET':
        return this.#let();
      case 'LAMBDA':
        return this.#lambda();
      case '\\E':
      case '\\A':
        return this.#quantified(text === '\\E' ? 'some' : 'all');
      default:
        return { kind: 'name', name: text, args: this.#skip('(') ? this.#list(')', () => this.#expression(0)) : [] };
    }
  }

  #bracketed(): Expression {
    const limit = this.#limit;
    this.#limit = -1;
    const second = this.#tokens[this.#at + 1]!.text;
    let result: Expression;
    if (second === '|->') {
      this.#limit = limit;
      const field = (): readonly [string, Expression] => {
        const name = this.#take();
        this.#expect('|->');
        return [name, this.#expression(0)];
      };
      return { kind: 'record', fields: this.#list(']', field) };
    }
    if (second === '\\in') {
      const name = this.#take();
      this.#expect('\\in');
      const over = this.#expression(0);
      this.#expect('|->');
      result = { kind: 'function', name, over, of: this.#expression(0) };
    } else {
      const of = this.#expression(0);
      for (const text of ['EXCEPT', '!', '[']) this.#expect(text);
      const at = this.#expression(0);
      for (const text of [']', '=']) this.#expect(text);
      result = { kind: 'except', of, at, to: this.#expression(0) };
    }
    this.#expect(']');
    this.#limit = limit;
    return result;
  }

  #if(): Expression {
    const test = this.#expression(0);
    this.#expect('THEN');
    const yes = this.#expression(0);
    this.#expect('ELSE');
    return { kind: 'if', test, yes, no: this.#expression(0) };
  }

  #case(): Expression {
    if (this.#skip('OTHER')) {
      this.#expect('->');
      return this.#expression(0);
    }
    const test = this.#expression(0);
    this.#expect('->');
    const yes = this.#expression(0);
    this.#expect('[]');
    return { kind: 'if', test, yes, no: this.#case() };
  }

  #let(): Expression {
    const definitions = this.definitions(() => this.#peek() === 'IN');
    this.#expect('IN');
    return { kind: 'let', definitions, of: this.#expression(0) };
  }

  #lambda(): Expression {
    const params = this.#list(':', () => this.#take());
    return { kind: 'lambda', params, of: this.#expression(0) };
  }

  #quantified(kind: 'some' | 'all'): Expression {
    const bounds: { name: string; over: Expression }[] = [];
    do {
      const name = this.#take();
      this.#expect('\\in');
      bounds.push({ name, over: this.#expression(0) });
    } while (this.#skip(','));
    this.#expect(':');
    return bounds.reduceRight<Expression>((of, { name, over }) => ({ kind, name, over, of }), this.#expression(0));
  }
}
