/** What every mutation flips, for people. */
import { configurationText } from '../checker/explain.ts';
import type { Flip } from '../checker/mutations.ts';
import type { TimedMutation } from './check-run.ts';
import { type Output, styled } from './text.ts';

export function mutationsText(mutations: readonly TimedMutation[], output: Output): string {
  const caught = mutations.filter(({ flips }) => flips.length > 0).length;
  return `${mutations.map((mutation) => mutationText(mutation, output)).join('')}
${caught} of ${mutations.length} mutations flip a verdict; the others are caught by nothing here
`;
}

function mutationText({ name, of, tried, complete, flips, seconds }: TimedMutation, output: Output): string {
  const where = `${flips.length} of ${tried} configurations`;
  const verdict = flips.length === 0 ? styled(output, 'yellow', 'not caught') : styled(output, 'green', 'caught');
  const end = complete ? '' : ', cut off by a bound elsewhere';
  const heading = `${styled(output, 'bold', `${of}: ${name}`)}: ${verdict}, ${where}, ${seconds.toFixed(1)} s${end}\n`;
  return heading + flips.map((flip) => `  ${flipText(flip)}\n`).join('');
}

function flipText({ configuration, broken, mended }: Flip): string {
  const parts = [
    ...(broken.length === 0 ? [] : [`now ${broken.join(', ')}`]),
    ...(mended.length === 0 ? [] : [`no longer ${mended.join(', ')}`]),
  ];
  return `${configurationText({ configuration })}: ${parts.join('; ')}`;
}
