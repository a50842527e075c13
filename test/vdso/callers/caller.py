"""Opens kvmclock.so through ctypes. Arguments: its path and, for the live record, a mapping's name and an offset in it."""
import ctypes
import json
import struct
import sys

image = ctypes.CDLL(sys.argv[1])
u64, pointer = ctypes.c_uint64, ctypes.c_void_p
for name, result, arguments in [
    ("kvmclock_attach", ctypes.c_int, [pointer]),
    ("kvmclock_now", u64, []),
    ("kvmclock_now_ns", ctypes.c_double, []),
    ("kvmclock_read_landed", u64, [pointer]),
    ("kvmclock_at", u64, [pointer, u64]),
]:
    function = getattr(image, name)
    function.restype, function.argtypes = result, arguments

HUGE = 2**63 + 1025


def record(ns, flags):
    return struct.pack("<IIQQIbBH", 2, 0, 0, ns, 0, 0, flags, 0)


own = ctypes.create_string_buffer(record(12345, 1), 64)
at = ctypes.addressof(own)
answer = {"attach": str(image.kvmclock_attach(at)), "now": str(image.kvmclock_now()), "at": str(image.kvmclock_at(at, 7))}
own[:32] = record(HUGE, 1)
answer["nowNs"] = image.kvmclock_now_ns()
own[:32] = record(12345, 0)
answer["unstable"] = str(image.kvmclock_read_landed(at))

answer["live"] = []
if len(sys.argv) > 3:
    with open("/proc/self/maps") as maps:
        start = next(int(line.split("-")[0], 16) for line in maps if sys.argv[2] in line)
    live = start + int(sys.argv[3])
    image.kvmclock_attach(live)
    answer["live"] = [str(image.kvmclock_now()), str(image.kvmclock_read_landed(live)), str(image.kvmclock_now())]
print(json.dumps(answer))
