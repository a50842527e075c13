/** The checker's verdicts for people: one configuration, or the matrix. */
import { configurationText, LETTERS } from '../checker/explain.ts';
import { ALWAYS, SOMETIMES } from '../checker/properties.ts';
import type { TimedVerdict } from './check.ts';
import { grouped, type Output, styled, table } from './text.ts';

/** One configuration: how far it was explored, and each property. `peakBytes`: the most that the process ever took. */
export function verdictText(verdict: TimedVerdict, peakBytes: number, output: Output): string {
  const { complete, violated, witnessed } = verdict;
  const steps = new Map<string, number>([...violated, ...witnessed].map(({ property, steps }) => [property, steps]));
  const always = ALWAYS.map(({ name, says }) => {
    const at = steps.get(name);
    const held = complete ? styled(output, 'green', 'holds') : styled(output, 'yellow', 'not seen');
    return [
      at === undefined ? held : styled(output, 'red', 'VIOLATED'),
      name,
      says,
      at === undefined ? '' : `${at} steps`,
    ];
  });
  const sometimes = SOMETIMES.map(({ name, says }) => {
    const at = steps.get(name);
    return [at === undefined ? 'not seen' : 'seen', name, says, at === undefined ? '' : `${at} steps`];
  });
  const rows = [...always, ...sometimes].map((row) => [`  ${row[0]}`, ...row.slice(1)]);
  return `${styled(output, 'bold', configurationText(verdict))}\n  ${costText(verdict)}; ${peakText(peakBytes)}\n${table(rows)}`;
}

/** How far the search went, and at what price. */
export function costText({ complete, states, seconds, bytes }: Omit<TimedVerdict, 'configuration'>): string {
  const rate = `${grouped(Math.round(states / Math.max(seconds, 1e-3)))} states/s`;
  const end = complete ? 'complete' : 'CUT OFF by a bound: no pass';
  return `${grouped(states)} states, ${end}, ${seconds.toFixed(2)} s, ${rate}, ${grouped(Math.ceil(bytes / 2 ** 20))} MiB of states`;
}

/** `96 MiB at the peak`: of the whole process. */
export function peakText(bytes: number): string {
  return `${grouped(Math.ceil(bytes / 2 ** 20))} MiB at the peak`;
}

/** The matrix: a row for each reader, host and writer; a column for each update; in each cell what is violated. */
export function matrixText(verdicts: readonly TimedVerdict[], output: Output): string {
  const updates = [...new Set(verdicts.map(({ configuration }) => configuration.update))];
  const memories = [...new Set(verdicts.map(({ configuration }) => configuration.memory))];
  const heading = ['reader', 'host', 'writer', 'memory', ...updates].map((cell) => styled(output, 'bold', cell));
  const rows = new Map<string, string[]>();
  for (const verdict of verdicts) {
    const { reader, host, writer, memory, update } = verdict.configuration;
    const key = [reader, host, writer, memory].join();
    let row = rows.get(key);
    if (row === undefined) {
      row = [reader, host, writer, memory, ...updates.map(() => '')];
      rows.set(key, row);
    }
    row[4 + updates.indexOf(update)] = cellText(verdict, output);
  }
  const legend = ALWAYS.map(({ name, says }) => `  ${LETTERS[name]}  ${name}: ${says}\n`).join('');
  return `${table([heading, ...rows.values()])}\nviolated: a letter each; "-" none; "?" cut off, no pass\n${legend}${totals(verdicts, memories)}`;
}

function cellText({ violated, complete }: TimedVerdict, output: Output): string {
  const letters = violated.map(({ property }) => LETTERS[property]).join('');
  const end = complete ? '' : '?';
  if (letters === '') return complete ? styled(output, 'green', '-') : styled(output, 'yellow', '?');
  return styled(output, 'red', letters) + end;
}

function totals(verdicts: readonly TimedVerdict[], memories: readonly string[]): string {
  return memories
    .map((memory) => {
      const own = verdicts.filter(({ configuration }) => configuration.memory === memory);
      const sum = (of: (verdict: TimedVerdict) => number): number => own.reduce((all, verdict) => all + of(verdict), 0);
      const seconds = sum((verdict) => verdict.seconds);
      const largest = own.reduce((a, b) => (b.states > a.states ? b : a));
      return (
        `\nmemory ${memory}: ${own.length} configurations, ${grouped(sum(({ states }) => states))} states, ` +
        `${seconds.toFixed(1)} s of one core\n  the largest: ${costText(largest)}\n`
      );
    })
    .join('');
}
