/** Opens libc, in a Worker where it is told to, and prints, behind awaitCompileJobs(), whether a script may call the engine's own functions. */
import { Script } from 'node:vm';
import { isMainThread, Worker } from 'node:worker_threads';
import { openSys } from '../../../src/machine/sys.ts';

if (isMainThread && process.argv[2] === 'worker') new Worker(new URL(import.meta.url), { execArgv: ['--no-warnings'] });
else openSys();
process.on('exit', () => {
  try {
    new Script('%IsBeingInterpreted()');
    console.log('allowed');
  } catch {
    console.log('not allowed');
  }
});
