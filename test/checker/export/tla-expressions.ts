/** TLA+ as it was read: definitions and expressions. */

export type Expression =
  | { readonly kind: 'value'; readonly value: number | string | boolean }
  | { readonly kind: 'name'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'prime'; readonly name: string }
  | { readonly kind: 'apply'; readonly of: Expression; readonly to: Expression }
  | { readonly kind: 'infix'; readonly op: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'prefix'; readonly op: string; readonly of: Expression }
  | { readonly kind: 'if'; readonly test: Expression; readonly yes: Expression; readonly no: Expression }
  | { readonly kind: 'let'; readonly definitions: readonly Definition[]; readonly of: Expression }
  | { readonly kind: 'lambda'; readonly params: readonly string[]; readonly of: Expression }
  | { readonly kind: 'function'; readonly name: string; readonly over: Expression; readonly of: Expression }
  | { readonly kind: 'record'; readonly fields: readonly (readonly [string, Expression])[] }
  | { readonly kind: 'except'; readonly of: Expression; readonly at: Expression; readonly to: Expression }
  | { readonly kind: 'sequence' | 'set'; readonly items: readonly Expression[] }
  | { readonly kind: 'some' | 'all'; readonly name: string; readonly over: Expression; readonly of: Expression };

export interface Definition {
  readonly name: string;
  readonly params: readonly string[];
  readonly body: Expression;
}
