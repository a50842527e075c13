#!/usr/bin/env node
/** The program `kvmclock`: the process around dispatch.ts. What is run here is run by nothing else. */
import { wantsColour } from '../report/text.ts';
import { EXIT_USAGE, type Io } from './command.ts';
import { COMMANDS } from './commands.ts';
import { dispatch } from './dispatch.ts';

const EXIT_INTERRUPTED = 130;

function quietExperimentalWarnings(): void {
  if (process.listenerCount('warning') === 0) return; // the user wants none at all
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') process.stderr.write(`kvmclock: ${warning.name}: ${warning.message}\n`);
  });
}

function outputOf(stream: NodeJS.WriteStream) {
  const isTerminal = stream.isTTY === true;
  // A reader that has gone away (`| head`) wants no more: the run goes on to its exit status, in silence.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return { isTerminal, colour: wantsColour(isTerminal, process.env), write: (text: string) => void stream.write(text) };
}

quietExperimentalWarnings();
const io: Io = { stdout: outputOf(process.stdout), stderr: outputOf(process.stderr) };
process.once('SIGINT', () => {
  if (io.stderr.isTerminal) io.stderr.write('\r\x1b[2K'); // a progress line
  process.exit(EXIT_INTERRUPTED);
});
process.on('uncaughtException', (error) => {
  io.stderr.write(`kvmclock: ${error.message.replaceAll('\n', ' ')} (a fault of kvmclock itself)\n`);
  process.exit(EXIT_USAGE);
});
process.exitCode = await dispatch(process.argv.slice(2), COMMANDS, io);
