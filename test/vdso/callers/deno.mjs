// Opens kvmclock.so through Deno.dlopen. Arguments: its path and, for the live record, a mapping's name and an offset in it.
import { call } from './call.mjs';

const { Deno } = globalThis;
const [path, mapping, offset] = Deno.args;
const { symbols } = Deno.dlopen(path, {
  kvmclock_attach: { parameters: ['u64'], result: 'i32' },
  kvmclock_now: { parameters: [], result: 'u64' },
  kvmclock_now_ns: { parameters: [], result: 'f64' },
  kvmclock_read_landed: { parameters: ['u64'], result: 'u64' },
  kvmclock_at: { parameters: ['u64', 'u64'], result: 'u64' },
});
const address = (view) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(view));
const maps = mapping === undefined ? undefined : Deno.readTextFileSync('/proc/self/maps');
console.log(JSON.stringify(call(symbols, (view) => BigInt(address(view)), maps, mapping, offset)));
