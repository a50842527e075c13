/** Values of TLA+: a sequence is an array, a function or a record a Map, a set of names or numbers a Set. */

export type Value = number | string | boolean | readonly Value[] | ReadonlyMap<Value, Value> | ReadonlySet<Value>;

export function applied(of: Value, to: Value): Value {
  const value = Array.isArray(of) ? of[Number(to) - 1] : (of as ReadonlyMap<Value, Value>).get(to);
  if (value === undefined) throw new Error(`TLA+: nothing at ${textOf(to)} of ${textOf(of).slice(0, 80)}`);
  return value;
}

export function prefixed(op: string, of: Value): Value {
  if (op === '~') return of !== true;
  if (op === '-') return -Number(of);
  return new Set(Array.isArray(of) ? of.map((_, index) => index + 1) : (of as ReadonlyMap<Value, Value>).keys());
}

export function combined(op: string, a: Value, b: Value): Value {
  const [left, right] = [a as ReadonlySet<Value>, b as ReadonlySet<Value>];
  switch (op) {
    case '/\\':
    case '\\/':
      return b;
    case '=':
      return textOf(a) === textOf(b);
    case '#':
      return textOf(a) !== textOf(b);
    case '<':
      return a < b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    case '+':
      return Number(a) + Number(b);
    case '-':
      return Number(a) - Number(b);
    case '*':
      return Number(a) * Number(b);
    case '..':
      return new Set(Array.from({ length: Math.max(Number(b) - Number(a) + 1, 0) }, (_, index) => Number(a) + index));
    case '\\in':
      return right.has(a);
    case '\\notin':
      return !right.has(a);
    case '\\union':
      return new Set([...left, ...right]);
    default:
      throw new Error(`TLA+: ${op} is not evaluated here`);
  }
}

export function textOf(value: Value): string {
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `<<${value.map(textOf).join()}>>`;
  if (value instanceof Set) return `{${[...value].map(textOf).sort().join()}}`;
  return `[${[...(value as ReadonlyMap<Value, Value>)].map(([at, of]) => `${textOf(at)}:${textOf(of)}`).join()}]`;
}
