/** `kvmclock decode FILE`: the records in a memory image or an ELF core. */
import { decodeImage, type Where } from '../report/decode/decode.ts';
import { decodeText } from '../report/decode/decode-text.ts';
import { ImageError, openImage } from '../report/decode/memory-image.ts';
import { toJson } from '../report/json.ts';
import { progressOn } from '../report/text.ts';
import { type Args, defineCommand, EXIT_OK, type Io, UsageError } from './command.ts';
import { parseCount, parseU64 } from './values.ts';

const EXIT_NO_RECORD = 1;

const options = {
  scan: { type: 'boolean', help: 'look for records in the whole file (what it does unless told a place)' },
  offset: { type: 'string', value: 'N', help: 'decode the 32 bytes at this offset of the file' },
  address: { type: 'string', value: 'N', help: 'decode those at this virtual or physical address of a core' },
  tsc: { type: 'string', value: 'N', help: 'also give the time that each record gives at this TSC' },
  limit: { type: 'string', value: 'N', default: '1000', help: 'stop the scan at this many records (1000)' },
  raw: { type: 'boolean', help: 'take an ELF core for plain bytes' },
} as const;

export const command = defineCommand({
  usage: 'decode FILE [--scan | --offset N | --address N] [--tsc N]',
  details: `FILE is raw memory (a snapshot's memory file, a dump) or a 64-bit ELF core. Numbers are decimal, or hex with 0x.

A scan takes for a record what lies at a multiple of 4, has an even version that is not 0, zero padding, no flag
but 1 (stable) and 2 (guest stopped), a multiplier in 2^31..2^32-1, stands for a TSC of 100 MHz to 10 GHz, and
has a timestamp that is not 0 and, like the time, below 100 years. At --offset or --address any bytes are
decoded, and what speaks against them is said.

Exit status: 0 at least one record, 1 none or a doubtful one, 2 the file cannot be used.`,
  options,
  maxPositionals: 1,
  async run(args, io) {
    const file = args.positionals[0];
    if (file === undefined || file === '')
      throw new UsageError('which file? Give the path of a memory image or an ELF core');
    const where = whereOf(args);
    const tsc = args.values.tsc === undefined ? undefined : parseU64('--tsc', args.values.tsc);
    try {
      return await decodeFile(file, where, tsc, args, io);
    } catch (error) {
      throw error instanceof ImageError ? new UsageError(error.message) : error;
    }
  },
});

async function decodeFile(file: string, where: Where, tsc: bigint | undefined, args: Args<typeof options>, io: Io) {
  const image = openImage(file, args.values.raw);
  const progress = progressOn(io.stderr);
  try {
    const result = await decodeImage(image, where, tsc, (done, total) =>
      progress.show(`${file}: ${Math.floor((100 * done) / total)} %`),
    );
    progress.clear();
    io.stdout.write(args.json ? toJson(result) : decodeText(result, io.stdout));
    return result.records.some((record) => record.doubts.length === 0) ? EXIT_OK : EXIT_NO_RECORD;
  } finally {
    progress.clear();
    image.close();
  }
}

function whereOf(args: Args<typeof options>): Where {
  const { offset, address, scan, limit } = args.values;
  if ([offset !== undefined, address !== undefined, scan === true].filter(Boolean).length > 1) {
    throw new UsageError('--scan, --offset and --address say where to look in three ways; give one of them');
  }
  if (offset !== undefined) return { offset: parseCount('--offset', offset) };
  if (address !== undefined) return { address: parseU64('--address', address) };
  return { limit: parseCount('--limit', limit, 1) };
}
