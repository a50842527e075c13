/** What runs this program, where that is not Node: Bun and Deno give themselves out for one, and differ from it. */

/** `bun 1.4.5`, `deno 2.9.6`; undefined on Node. */
export function otherThanNode(versions: NodeJS.ProcessVersions = process.versions): string | undefined {
  const name = (['bun', 'deno'] as const).find((other) => versions[other] !== undefined);
  return name && `${name} ${versions[name]}`;
}

/** Why the threads of this process have no one clock, from which a simulated TSC could be counted; undefined where they have. */
export function noCommonHrtime(versions?: NodeJS.ProcessVersions): string | undefined {
  const runtime = otherThanNode(versions);
  return (
    runtime &&
    `in ${runtime} each thread's process.hrtime has a beginning of its own, so there is no TSC for all of a VM`
  );
}
