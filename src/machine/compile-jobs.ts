/**
 * The engine's background compiles and the end of a thread. Node 26 frees what describes a node:ffi function as soon as
 * the thread that opened it ends, main thread or Worker, while a compile of a hot caller may still be reading it: the
 * process then dies behind its last line, by SIGSEGV or by a failed check of the engine ("ArityForArgc"). The engine waits
 * for the same compiles a moment later, when it goes itself: to wait before costs no time.
 */
import { readFileSync } from 'node:fs';

const WAIT = '%WaitForBackgroundOptimization()';
/** Under this flag the engine aborts where another is set. */
const FROZEN = /(?:^|\0)--freeze[-_]flags/;

/** For the event `exit` of a thread that has called node:ffi: returns when no compile is under way. Never throws. */
export function awaitCompileJobs(): void {
  try {
    if (FROZEN.test(readFileSync('/proc/self/cmdline', 'latin1'))) return; // a Worker need not be told of it
    waitingScript().runInThisContext();
  } catch {
    // An engine that does not know the word, or no leave to read the flags: there is nothing else to be done.
  }
}

/** The engine takes its own words where a flag says so, and only while the script is parsed. */
function waitingScript() {
  const { Script } = process.getBuiltinModule('node:vm');
  try {
    return new Script(WAIT);
  } catch {
    const { setFlagsFromString } = process.getBuiltinModule('node:v8');
    setFlagsFromString('--allow-natives-syntax');
    try {
      return new Script(WAIT);
    } finally {
      setFlagsFromString('--no-allow-natives-syntax');
    }
  }
}
