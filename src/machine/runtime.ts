/** What runs this program, where that is not Node: Bun and Deno give themselves out for one, and differ from it. */

/** `bun 1.4.5`, `deno 2.9.6`; undefined on Node. */
export function otherThanNode(versions: NodeJS.ProcessVersions = process.versions): string | undefined {
  const name = (['bun', 'deno'] as const).find((other) => versions[other] !== undefined);
  return name && `${name} ${versions[name]}`;
}

/** Node has node:ffi from 26.1 on; up to 26.8 only where this flag is given. */
export const FFI_FLAG = '--experimental-ffi';

/** Whether this Node would have node:ffi, had it been started with the flag. */
export function ffiIsOff(): boolean {
  return otherThanNode() === undefined && process.allowedNodeEnvironmentFlags.has(FFI_FLAG);
}

/** Why there is no node:ffi, where there is none, and what to do. */
export function whyNoFfi(): string {
  if (ffiIsOff()) return `this Node (${process.version}) has no node:ffi without ${FFI_FLAG}; 26.9 and later have`;
  return `${otherThanNode() ?? `this Node (${process.version})`} has no node:ffi; Node 26.9 and later have it`;
}

/** Why the threads of this process have no one clock, from which a simulated TSC could be counted; undefined where they have. */
export function noCommonHrtime(versions?: NodeJS.ProcessVersions): string | undefined {
  const runtime = otherThanNode(versions);
  return (
    runtime &&
    `in ${runtime} each thread's process.hrtime has a beginning of its own, so there is no TSC for all of a VM`
  );
}
