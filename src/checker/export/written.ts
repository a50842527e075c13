/** A configuration written down for another checker: its files, as text. */

import { configurationText } from '../explain.ts';
import type { ExploreOptions } from '../explore.ts';
import type { Scenario } from '../scenario.ts';
import type { Configuration } from '../scenarios.ts';
import { gather } from './gather.ts';
import { modelOf } from './model.ts';
import { promelaText } from './promela.ts';
import { tlaConfiguration, tlaText } from './tla.ts';

export const FORMATS = ['promela', 'tla'] as const;
export type Format = (typeof FORMATS)[number];

export interface Written {
  readonly name: string;
  readonly text: string;
}

export interface Export {
  /** False where the search was cut off: the text then says by `known_answer` (KnownAnswer) what it lacks. */
  readonly complete: boolean;
  readonly files: readonly Written[];
}

/**
 * `scenario`: the configuration's. `name`: the file's, for TLA+ without its ending, as the module is called so too. Throws RangeError
 * on a configuration that the other language has no words for.
 */
export function written(
  scenario: Scenario,
  configuration: Configuration,
  format: Format,
  name: string,
  options: ExploreOptions,
): Export {
  const { automata, complete } = gather(scenario, options);
  const model = modelOf(scenario, automata);
  const title = configurationText({ configuration });
  if (format === 'promela') return { complete, files: [{ name, text: promelaText(model, title) }] };
  const files = [
    { name: `${name}.tla`, text: tlaText(model, name, title) },
    { name: `${name}.cfg`, text: tlaConfiguration() },
  ];
  return { complete, files };
}
