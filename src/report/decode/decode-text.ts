/** What `kvmclock decode` prints for people. */

import { grouped, type Output, styled } from '../text.ts';
import type { DecodedRecord, DecodeResult } from './decode.ts';

export function decodeText(result: DecodeResult, output: Output): string {
  const kind = result.kind === 'core' ? 'an ELF core' : 'raw memory';
  const missing =
    result.missingBytes === '0'
      ? ''
      : `, cut off: its segments claim ${grouped(BigInt(result.missingBytes))} bytes more`;
  const head = `${result.file}: ${kind}, ${grouped(result.bytes)} bytes${missing}\n`;
  if (result.records.length === 0) return `${head}no record\n`;
  const records = result.records.map((record) => recordText(record, output)).join('');
  const more = result.stopped ? `\nstopped at ${result.records.length} records; --limit N for more\n` : '';
  return head + records + more;
}

function recordText(record: DecodedRecord, output: Output): string {
  const place = `record at ${hex(record.offset)}${addressText(record)}`;
  const lines = [
    `version ${record.version}, flags ${record.flags} (${meaning(record)})`,
    `system time ${durationText(BigInt(record.systemTime))} at TSC ${record.tscTimestamp}`,
    `${rateText(record)} (mul ${record.tscToSystemMul}, shift ${record.tscShift})`,
    ...timeLines(record),
    ...record.doubts.map((doubt) => styled(output, 'yellow', `doubtful: ${doubt}`)),
  ];
  return `\n${styled(output, 'bold', place)}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function addressText(record: DecodedRecord): string {
  if (record.virtualAddress === null || record.physicalAddress === null) return '';
  return `, virtual ${hex(BigInt(record.virtualAddress))}, physical ${hex(BigInt(record.physicalAddress))}`;
}

function meaning(record: DecodedRecord): string {
  const stable = record.stable ? 'stable' : 'not stable: user space must ask the kernel';
  return record.guestStopped ? `${stable}; the vCPU was stopped, and its kernel has not seen it yet` : stable;
}

function rateText(record: DecodedRecord): string {
  return record.tscHz === null ? 'no TSC rate' : `TSC ${(record.tscHz / 1e6).toFixed(3)} MHz`;
}

function timeLines(record: DecodedRecord): string[] {
  if (record.at === null) return [];
  const { tsc, ns, behindCycles } = record.at;
  const time = `at TSC ${tsc}: ${durationText(BigInt(ns))}`;
  if (behindCycles === null) return [time];
  return [
    time,
    `that TSC is ${behindCycles} cycles behind the timestamp: a reader takes it for ${delta(behindCycles)} cycles ahead`,
  ];
}

const delta = (behindCycles: string) => BigInt.asUintN(64, -BigInt(behindCycles));

const hex = (value: number | bigint) => `0x${value.toString(16)}`;

const SECONDS_A_DAY = 86_400n;

/** "2 d 03:04:05.123456789 (183845123456789 ns)". */
export function durationText(ns: bigint): string {
  const seconds = ns / 1_000_000_000n;
  const days = seconds / SECONDS_A_DAY;
  const clock = [(seconds % SECONDS_A_DAY) / 3600n, (seconds % 3600n) / 60n, seconds % 60n].map((part) =>
    String(part).padStart(2, '0'),
  );
  const fraction = String(ns % 1_000_000_000n).padStart(9, '0');
  return `${days > 0n ? `${days} d ` : ''}${clock.join(':')}.${fraction} (${ns} ns)`;
}
