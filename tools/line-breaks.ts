/**
 * A line for each statement of minified code. Node prints the line that an uncaught error was thrown at, before the error: where a
 * whole file is one line, nobody finds the error below it, and a stack trace names but columns.
 */
import { parseAst } from 'rolldown/parseAst';

/** `code` with a line break before every statement and class member but the first of its block. Nothing else is changed. */
export function lineForEachStatement(code: string): string {
  const starts: number[] = [];
  visit(parseAst(code), starts);
  starts.sort((one, other) => one - other);
  return [0, ...starts].map((start, index) => code.slice(start, starts[index])).join('\n');
}

/** Adds where each statement begins that follows another. */
function visit(node: unknown, starts: number[]): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    if (key === 'body' && Array.isArray(value)) {
      for (const { start } of (value as { start: number }[]).slice(1)) starts.push(start);
    }
    visit(value, starts);
  }
}
