/** What every mutation flips, for people. */
import { sizesText } from '../checker/explain.ts';
import type { Flip } from '../checker/mutations/trial.ts';
import { type Configuration, DEFAULT_CONFIGURATION } from '../checker/scenarios.ts';
import { configurationShape } from './check.ts';
import type { TimedMutation } from './check-run.ts';
import { type Output, styled } from './text.ts';

export function mutationsText(mutations: readonly TimedMutation[], output: Output): string {
  const caught = mutations.filter(({ flips }) => flips.length > 0).length;
  return `${mutations.map((mutation) => mutationText(mutation, output)).join('')}
${caught} of ${mutations.length} mutations flip a verdict; nothing here catches the others
`;
}

/** The keys of `kvmclock check --mutations --json`. */
export function mutationShape({ configurations, flips, because, ...rest }: TimedMutation): object {
  const shapes = flips.map(({ configuration, broken, mended, replay }) => {
    return { ...configurationShape(configuration), broken, mended, replay: replay === '' ? null : replay };
  });
  return { ...rest, because: because ?? null, tried: configurations.length, flips: shapes };
}

function mutationText({ name, says, because, configurations, complete, flips }: TimedMutation, output: Output): string {
  const where = unusual(configurations[0]!);
  const verdict =
    flips.length > 0
      ? styled(output, 'green', `caught in ${flips.length} of ${configurations.length}`)
      : `${styled(output, 'yellow', `not caught in ${configurations.length}`)}: ${because ?? 'it is not known why'}`;
  const end = complete ? '' : ', cut off by a bound elsewhere';
  const heading = `${styled(output, 'bold', name)}  ${says}${where}: ${verdict}${end}\n`;
  return (
    heading +
    effectsOf(flips)
      .map(([effect, all]) => `  ${effect}\n    ${placesText(all)}\n`)
      .join('')
  );
}

/** By what they change: the flips. */
function effectsOf(flips: readonly Flip[]): [string, Flip[]][] {
  const effects = new Map<string, Flip[]>();
  for (const flip of flips) {
    const { broken, mended } = flip;
    const parts = [
      ...(broken.length === 0 ? [] : [`now ${broken.join(', ')}`]),
      ...(mended.length === 0 ? [] : [`no longer ${mended.join(', ')}`]),
    ];
    const effect = parts.join('; ');
    effects.set(effect, [...(effects.get(effect) ?? []), flip]);
  }
  return [...effects];
}

/** `landed under kvm: unstable, set-clock; landed under all: unstable`. */
function placesText(flips: readonly Flip[]): string {
  const updates = new Map<string, string[]>();
  for (const { configuration } of flips) {
    const place = `${configuration.reader} under ${configuration.host}`;
    updates.set(place, [...(updates.get(place) ?? []), configuration.update]);
  }
  return [...updates].map(([place, all]) => `${place}: ${all.join(', ')}`).join('; ');
}

/** What is not as usual where a mutation is tried: ` (memory tso, 2 threads)`. */
function unusual(configuration: Configuration): string {
  const usual = partsOf(DEFAULT_CONFIGURATION);
  const parts = partsOf(configuration).filter((part) => !usual.includes(part));
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

function partsOf(configuration: Configuration): string[] {
  const { writer, memory } = configuration;
  return [`memory ${memory}`, `writer ${writer}`, ...sizesText(configuration).split(', ')];
}
