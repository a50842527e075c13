/** The conformance table for people. */

import { type Output, type Style, styled } from '../text.ts';
import type { CaseReport, ConformVerdict } from './conform.ts';

const STYLES: Readonly<Record<ConformVerdict, Style>> = { kept: 'green', broken: 'red', trap: 'yellow' };
const WIDTH = 7;

export function conformText(cases: readonly CaseReport[], clock: string, output: Output): string {
  const count = (verdict: ConformVerdict): number => cases.filter((report) => report.verdict === verdict).length;
  const summary = `clock kept by ${clock}: ${count('kept')} kept, ${count('trap')} traps, ${count('broken')} broken`;
  return `${cases.map((report) => caseText(report, output)).join('')}\n${styled(output, 'bold', summary)}\n`;
}

function caseText({ name, verdict, promised, seen, advice }: CaseReport, output: Output): string {
  const indent = ' '.repeat(WIDTH + 2);
  const lines = [`${indent}promised: ${promised}`, `${indent}seen:     ${seen}`];
  if (advice !== null) lines.push(`${indent}a VMM can: ${advice}`);
  const head = `${styled(output, STYLES[verdict], verdict.padEnd(WIDTH))}  ${styled(output, 'bold', name)}`;
  return `${[head, ...lines].join('\n')}\n`;
}
