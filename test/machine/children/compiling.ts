/**
 * Ends, main thread or Worker, while a function that calls libc through node:ffi is being compiled in the background. Run it with
 * --concurrent-recompilation-delay, so that this takes longer than the end. Prints, or leaves in the Worker's shared word,
 * whether the compile was through when the last listener of `exit` was called.
 */
import { setFlagsFromString } from 'node:v8';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { awaitCompileJobs } from '../../../src/machine/compile-jobs.ts';
import { isUnavailable, openSys } from '../../../src/machine/sys.ts';
import { END, endWorker } from '../../../src/machine/worker-thread.ts';

const [how] = process.argv.slice(2);

/** Begins the compile. Answers whether it is through. */
function compileOne(): () => boolean {
  const sys = openSys();
  if (isUnavailable(sys)) throw new Error(sys.unavailable);
  if (how === 'unwaited') process.removeListener('exit', awaitCompileJobs);
  setFlagsFromString('--allow-natives-syntax');
  const prepare = new Function('f', '%PrepareFunctionForOptimization(f)');
  const begin = new Function('f', '%OptimizeFunctionOnNextCall(f, "concurrent")');
  const isCompiled = new Function('f', 'return %ActiveTierIsTurbofan(f)') as (f: object) => boolean;
  const { getpid } = sys.libc;
  const hot = (): number => getpid() + getpid();
  prepare(hot);
  hot();
  begin(hot);
  hot();
  isCompiled(hot); // parsed while it can be
  setFlagsFromString('--no-allow-natives-syntax');
  return () => {
    for (let i = 0; i < 1000; i++) hot(); // the engine takes in what has been compiled
    return isCompiled(hot);
  };
}

if (isMainThread && how?.startsWith('worker-')) {
  const through = new SharedArrayBuffer(4);
  const worker = new Worker(new URL(import.meta.url), { workerData: through, argv: [how] });
  worker.once('message', async () => {
    if (how === 'worker-ended') await endWorker(worker, 5000);
    else await worker.terminate();
    console.log(new Int32Array(through)[0] === 1);
  });
} else {
  const isThrough = compileOne();
  process.on('exit', () => {
    if (isMainThread) console.log(isThrough());
    else new Int32Array(workerData as SharedArrayBuffer)[0] = isThrough() ? 1 : 0;
  });
  parentPort?.on('message', (message) => message === END && parentPort!.close());
  parentPort?.postMessage('compiling');
}
