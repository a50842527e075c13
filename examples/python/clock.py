"""Reads KVM's paravirtual clock from Python.

    kvmclock vdso --out kvmclock.so
    python3 clock.py ./kvmclock.so
"""

import ctypes
import os
import platform
import re
import sys

PAGE = 4096


def mapping(name):
    """Where a mapping of this process begins, or None."""
    with open("/proc/self/maps") as maps:
        return next((int(line.split("-")[0], 16) for line in maps if line.rstrip().endswith(name)), None)


def readable(page):
    """The kernel copies from the page for us: where nothing is behind it, write says so, and a load would kill us."""
    read_end, write_end = os.pipe()
    try:
        return ctypes.CDLL(None).write(write_end, ctypes.c_void_p(page), ctypes.c_size_t(1)) == 1
    finally:
        os.close(read_end)
        os.close(write_end)


def find_record():
    """The address of vCPU 0's record, or None where the kernel shows none."""
    page = mapping("[vvar_vclock]")  # Linux 6.13 and later: its first page
    version = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
    if page is None and version < (6, 13):
        page = mapping("[vvar]")  # before: the second page of this one
        page = None if page is None else page + PAGE
    if page is None or not readable(page):
        return None
    record = ctypes.string_at(page, 32)
    # A record in use has a multiplier of 2^31 and more, and nothing in its padding.
    return page if record[27] & 0x80 and record[30:] == b"\0\0" else None


def main():
    image = ctypes.CDLL(os.path.abspath(sys.argv[1]))
    image.kvmclock_attach.argtypes = [ctypes.c_void_p]
    image.kvmclock_now.restype = ctypes.c_uint64

    record = find_record()
    stable = image.kvmclock_attach(record)
    if record is None:
        print("source: the kernel, as it shows no record")
    else:
        print("source: the record" if stable else "source: the kernel, as the record is not stable")
    for _ in range(3):
        print(f"now: {image.kvmclock_now()} ns")


main()
