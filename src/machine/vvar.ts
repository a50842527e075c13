/**
 * Where the kernel maps vCPU 0's page of records into every process, and whether it can be read without harm.
 *
 *   Linux 6.13 and later   [vvar_vclock], first page
 *   Linux 4.5 to 6.12      [vvar], second page
 *
 * The page behind it is Hyper-V's, where the mapping goes on to there (since Linux 4.12).
 *
 * The kernel backs the page only where kvm-clock was used since boot; elsewhere a load is SIGBUS. So nothing is loaded
 * from it before the kernel itself has copied from it on our behalf. What else these mappings hold is nobody's interface.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { PAGE_BYTES, type Sys, type Unavailable } from './sys.ts';

export interface VvarPage {
  readonly address: bigint;
  /** The mapping's name and the page's place in it, for people. */
  readonly where: string;
}

const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) .*\[(vvar|vvar_vclock)\]$/;

/** From this version on the clocks' pages have a mapping of their own, and [vvar] holds something else in its second page. */
const OWN_MAPPING_SINCE = [6, 13] as const;

/** The page's place by /proc/self/maps, given as text, on a kernel of `release` ("6.18.44-..."). */
export function pageFromMaps(maps: string, release: string): VvarPage | undefined {
  const pages = clockPages(maps, release);
  return pages === undefined ? undefined : { address: pages.start, where: pages.where };
}

/** Where Hyper-V's page is, likewise. */
export function hypervPageFromMaps(maps: string, release: string): bigint | undefined {
  const pages = clockPages(maps, release);
  const address = pages === undefined ? undefined : pages.start + BigInt(PAGE_BYTES);
  return address === undefined || address >= pages!.end ? undefined : address;
}

/** From the page of records on to the end of its mapping. */
function clockPages(maps: string, release: string): { start: bigint; end: bigint; where: string } | undefined {
  const found = new Map<string, { start: bigint; end: bigint }>();
  for (const line of maps.split('\n')) {
    const match = MAPPING.exec(line);
    if (match !== null) found.set(match[3]!, { start: BigInt(`0x${match[1]}`), end: BigInt(`0x${match[2]}`) });
  }
  const vclock = found.get('vvar_vclock');
  if (vclock !== undefined) return { ...vclock, where: '[vvar_vclock], page 0' };
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  const [sinceMajor, sinceMinor] = OWN_MAPPING_SINCE;
  if (major > sinceMajor || (major === sinceMajor && minor >= sinceMinor)) return undefined;
  const vvar = found.get('vvar');
  const second = vvar === undefined ? undefined : vvar.start + BigInt(PAGE_BYTES);
  if (second === undefined || second >= vvar!.end) return undefined;
  return { start: second, end: vvar!.end, where: '[vvar], page 1' };
}

/** The page, known to be readable; or why there is none. */
export function findVvarPage(sys: Sys): VvarPage | Unavailable {
  let maps: string;
  try {
    maps = readFileSync('/proc/self/maps', 'utf8');
  } catch (error) {
    return { unavailable: `/proc/self/maps cannot be read (${(error as { code?: string }).code ?? String(error)})` };
  }
  const page = pageFromMaps(maps, release());
  if (page === undefined) return { unavailable: 'this kernel maps no page of records into the process' };
  if (!sys.readable(page.address, PAGE_BYTES)) {
    return {
      unavailable: `the page of records (${page.where}) cannot be read: the kernel backs it where kvm-clock was used since boot, and only there`,
    };
  }
  return page;
}
