// Opens kvmclock.so through bun:ffi. Arguments: its path and, for the live record, a mapping's name and an offset in it.

import { dlopen, ptr } from 'bun:ffi';
import { readFileSync } from 'node:fs';
import { call } from './call.mjs';

const [path, mapping, offset] = process.argv.slice(2);
const { symbols } = dlopen(path, {
  kvmclock_attach: { args: ['u64'], returns: 'i32' },
  kvmclock_now: { args: [], returns: 'u64' },
  kvmclock_now_ns: { args: [], returns: 'f64' },
  kvmclock_read_landed: { args: ['u64'], returns: 'u64' },
  kvmclock_at: { args: ['u64', 'u64'], returns: 'u64' },
});
const maps = mapping === undefined ? undefined : readFileSync('/proc/self/maps', 'utf8');
console.log(JSON.stringify(call(symbols, (view) => BigInt(ptr(view)), maps, mapping, offset)));
