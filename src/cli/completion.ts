/** `kvmclock completion`: the script that has a shell complete this command line. */
import { toJson } from '../report/json.ts';
import { defineCommand, EXIT_OK, UsageError } from './command.ts';
import { COMMANDS } from './commands.ts';
import { places } from './completion-model.ts';
import { SCRIPTS } from './completion-scripts.ts';
import { parseArgument } from './values.ts';

const SHELLS = Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[];

export const command = defineCommand({
  usage: `completion ${SHELLS.join('|')}`,
  details: `Prints it: commands, options, and the values of those that take one of a few.
  bash   source <(kvmclock completion bash)
  zsh    source <(kvmclock completion zsh), after compinit
  fish   kvmclock completion fish | source`,
  options: {},
  maxPositionals: 1,
  async run({ positionals, json }, { stdout }) {
    const [name] = positionals;
    if (name === undefined) throw new UsageError(`for which shell? There are ${SHELLS.join(', ')}`);
    const shell = parseArgument('script for', name, SHELLS);
    const script = SCRIPTS[shell](await places(COMMANDS));
    stdout.write(json ? toJson({ shell, script }) : script);
    return EXIT_OK;
  },
});
