import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { coreBytes, imageFile, RECORD, withRecords } from '../report/decode/image-files.ts';
import { captured } from './captured.ts';

const file = imageFile(withRecords(8192, [4096, 4160]));
const core = imageFile(
  coreBytes([{ bytes: withRecords(4096, [64]), virtualAddress: 0xffff_8880_0000_1000n, physicalAddress: 0x1000n }]),
);

async function json(...argv: string[]) {
  const { status, stdout, stderr } = await captured(['decode', '--json', ...argv]);
  assert.equal(stderr, '');
  return { status, ...JSON.parse(stdout) };
}

describe('kvmclock decode', () => {
  test('kvmclock decode finds the records and says what they mean', async () => {
    const { status, stdout, stderr } = await captured(['decode', file]);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.equal(
      stdout,
      `${file}: raw memory, 8 192 bytes

record at 0x1000
  version 24, flags 1 (stable)
  system time 2 d 03:04:05.123456789 (183845123456789 ns) at TSC 123456789012
  TSC 2596.145 MHz (mul 3308726820, shift -1)

record at 0x1040
  version 24, flags 1 (stable)
  system time 2 d 03:04:05.123456789 (183845123456789 ns) at TSC 123456789012
  TSC 2596.145 MHz (mul 3308726820, shift -1)
`,
    );
  });

  test('kvmclock decode --json prints the shape that docs/json.md promises', async () => {
    assert.deepEqual(await json(file, '--offset', '4160', '--tsc', '123456789112'), {
      status: 0,
      file,
      kind: 'raw',
      bytes: 8192,
      missingBytes: '0',
      records: [
        {
          offset: 4160,
          virtualAddress: null,
          physicalAddress: null,
          version: RECORD.version,
          tscTimestamp: '123456789012',
          systemTime: '183845123456789',
          tscToSystemMul: RECORD.tscToSystemMul,
          tscShift: RECORD.tscShift,
          flags: RECORD.flags,
          stable: true,
          guestStopped: false,
          tscKhz: 2_596_144,
          tscHz: 2_596_145_001,
          doubts: [],
          at: { tsc: '123456789112', ns: '183845123456827', behindCycles: null },
        },
      ],
      stopped: false,
    });
  });

  test('kvmclock decode gives the addresses of a core, and finds a record by them', async () => {
    const scanned = await json(core);
    assert.equal(scanned.kind, 'core');
    assert.equal(scanned.records[0].virtualAddress, String(0xffff_8880_0000_1040n));
    assert.equal(scanned.records[0].physicalAddress, '4160');
    for (const address of ['0xffff888000001040', '0x1040', '4160']) {
      assert.deepEqual(await json(core, '--address', address), scanned);
    }
    const { stdout } = await captured(['decode', core]);
    assert.match(
      stdout,
      /: an ELF core, [\d ]+ bytes\n\nrecord at 0x\w+, virtual 0xffff888000001040, physical 0x1040\n/,
    );
  });

  test('kvmclock decode --raw takes a core for bytes', async () => {
    const { kind, records } = await json(core, '--raw');
    assert.equal(kind, 'raw');
    assert.equal(records.length, 1);
    assert.equal(records[0].virtualAddress, null);
  });

  test('kvmclock decode takes --offset in hex and decimal', async () => {
    assert.deepEqual(await json(file, '--offset', '0x1000'), await json(file, '--offset', '4096'));
  });

  test('kvmclock decode --tsc says when the TSC is behind the timestamp: a reader takes the delta for a huge one', async () => {
    const { records } = await json(file, '--offset=4096', '--tsc=123456789000');
    assert.equal(records[0].at.behindCycles, '12');
    assert.ok(BigInt(records[0].at.ns) > 1n << 62n);
    const { stdout } = await captured(['decode', file, '--offset=4096', '--tsc=123456789000']);
    assert.match(stdout, /12 cycles behind the timestamp: a reader takes it for 18446744073709551604 cycles ahead/);
  });

  test('kvmclock decode --offset decodes anything, with its doubts, and exits with 1', async () => {
    const { status, records } = await json(file, '--offset', '0');
    assert.equal(status, 1);
    assert.deepEqual(records[0].doubts, ['version 0: never written', 'multiplier below 2^31', 'timestamp 0']);
    assert.deepEqual([records[0].tscKhz, records[0].tscHz], [null, null]);
    assert.match((await captured(['decode', file, '--offset', '1'])).stdout, /^ {2}doubtful: version /m);
  });

  test('kvmclock decode tells of a stopped vCPU and of a clock that is not stable', async () => {
    const image = imageFile(withRecords(4096, [0], { flags: 2 }));
    assert.match(
      (await captured(['decode', image])).stdout,
      /not stable: user space must ask the kernel; the vCPU was stopped/,
    );
    const { records } = await json(image);
    assert.deepEqual([records[0].stable, records[0].guestStopped], [false, true]);
  });

  test('kvmclock decode says "no record" of an empty file and of one without, and exits with 1', async () => {
    for (const length of [0, 31, 5000]) {
      const image = imageFile(new Uint8Array(length));
      const { status, stdout, stderr } = await captured(['decode', image]);
      assert.deepEqual({ status, stderr }, { status: 1, stderr: '' });
      assert.match(stdout, /\nno record\n$/);
      assert.deepEqual((await json(image)).records, []);
    }
  });

  test('kvmclock decode tells of a core that was cut off', async () => {
    const bytes = coreBytes([{ bytes: withRecords(4096, [64]) }]).slice(0, -1000);
    const { status, stdout } = await captured(['decode', imageFile(bytes)]);
    assert.equal(status, 0);
    assert.match(stdout, /an ELF core, [\d ]+ bytes, cut off: its segments claim 1 000 bytes more\n/);
  });

  test('kvmclock decode --limit stops early and says so', async () => {
    const { records, stopped } = await json(file, '--limit', '1');
    assert.deepEqual([records.length, stopped], [1, true]);
    assert.match(
      (await captured(['decode', file, '--limit', '1'])).stdout,
      /\nstopped at 1 records; --limit N for more\n$/,
    );
  });

  for (const [argv, message] of [
    [[], 'which file? Give the path of a memory image or an ELF core'],
    [
      [file, '--offset', '8161'],
      `cannot decode 32 bytes at offset 8161 of ${file}: it ends at 8192; give a smaller --offset`,
    ],
    [[file, '--offset', '-1'], undefined],
    [[file, '--offset', 'ten'], '--offset takes a whole number from 0 on, decimal or hex with 0x, not "ten"'],
    [[file, '--offset', '1e3'], '--offset takes a whole number from 0 on, decimal or hex with 0x, not "1e3"'],
    [[file, '--offset', ''], '--offset takes a whole number from 0 on, decimal or hex with 0x, not ""'],
    [
      [file, '--offset', '0x20000000000001'],
      '--offset takes a whole number from 0 on, decimal or hex with 0x, not "0x20000000000001"',
    ],
    [[file, '--limit', '0'], '--limit takes a whole number from 1 on, decimal or hex with 0x, not "0"'],
    [
      [file, '--tsc', '0x10000000000000000'],
      '--tsc takes a number of 0..2^64-1, decimal or hex with 0x, not "0x10000000000000000"',
    ],
    [[file, '--address', '0'], `cannot look for an address in ${file}: it is no ELF core; give --offset`],
    [[core, '--address', '0x5'], `cannot find 32 bytes at address 0x5 in ${core}: no segment holds them`],
    [
      [file, '--scan', '--offset', '0'],
      '--scan, --offset and --address say where to look in three ways; give one of them',
    ],
  ] as const) {
    test(`kvmclock decode ${argv.slice(1).join(' ')} is refused in one line`, async () => {
      const { status, stdout, stderr } = await captured(['decode', ...argv]);
      assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
      if (message !== undefined) assert.equal(stderr, `kvmclock decode: ${message}\n`);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
    });
  }
});
