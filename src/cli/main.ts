#!/usr/bin/env node
/**
 * The program `kvmclock`: the process around dispatch.ts. What is run here is run by nothing else.
 *
 * Ctrl-C has no handler: a search or a measurement gives no other JavaScript a turn, so that one would not be called before
 * the end. The signal ends the process at once, a shell's status for that is 130, and its loops end too.
 */
import { canRewrite, wantsColour } from '../report/text.ts';
import { EXIT_USAGE, type Io } from './command.ts';
import { COMMANDS } from './commands.ts';
import { dispatch } from './dispatch.ts';
import { failureText, whyNotWritten } from './failure.ts';

function quietExperimentalWarnings(): void {
  if (process.listenerCount('warning') === 0) return; // the user wants none at all
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') process.stderr.write(`kvmclock: ${warning.name}: ${warning.message}\n`);
  });
}

function outputOf(stream: NodeJS.WriteStream, name: string) {
  const isTerminal = canRewrite(stream.isTTY === true, process.env);
  // A reader that has gone away (`| head`) wants no more: the run goes on to its exit status, in silence.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    io.stderr.write(`kvmclock: ${name} cannot be written: ${whyNotWritten(error.code ?? error.message)}\n`);
    process.exit(EXIT_USAGE);
  });
  return { isTerminal, colour: wantsColour(isTerminal, process.env), write: (text: string) => void stream.write(text) };
}

quietExperimentalWarnings();
const io: Io = {
  stdout: outputOf(process.stdout, 'standard output'),
  stderr: outputOf(process.stderr, 'standard error'),
};
process.on('uncaughtException', (error) => {
  io.stderr.write(`kvmclock: ${failureText(error)}\n`);
  process.exit(EXIT_USAGE);
});
process.exitCode = await dispatch(process.argv.slice(2), COMMANDS, io);
