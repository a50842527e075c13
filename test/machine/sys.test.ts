import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, test } from 'node:test';
import {
  isUnavailable,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  openSys,
  PAGE_BYTES,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
  SystemCallError,
} from '../../src/machine/sys.ts';
import { sysHere } from './live-here.ts';

/** `pages` pages of memory, the ones listed made unreadable; unmapped when `body` is done. */
function withPages(pages: number, unreadable: readonly number[], body: (address: bigint) => void): void {
  const sys = sysHere();
  const length = BigInt(pages * PAGE_BYTES);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const address = sys.check('mmap', sys.libc.mmap(0n, length, PROT_READ | PROT_WRITE, flags, -1, 0n));
  try {
    for (const page of unreadable) {
      const at = address + BigInt(page * PAGE_BYTES);
      sys.check('mprotect', sys.libc.mprotect(at, BigInt(PAGE_BYTES), PROT_NONE));
    }
    body(address);
  } finally {
    sys.check('munmap', sys.libc.munmap(address, length));
  }
}

describe('openSys()', () => {
  test('openSys() gives the same libc at every call', () => {
    assert.equal(openSys(), openSys());
    assert.equal(sysHere().libc.getpid(), process.pid);
  });

  const child = (...options: string[]) =>
    spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', ...options, path.join(import.meta.dirname, 'children/sys.ts')],
      { encoding: 'utf8' },
    );

  test('openSys() says how to allow it under --permission', () => {
    const { status, stdout, stderr } = child('--permission', '--allow-fs-read=*');
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.match(stdout, /--allow-ffi/);
  });

  test('openSys() opens under --permission with --allow-ffi', () => {
    assert.equal(child('--permission', '--allow-fs-read=*', '--allow-ffi').stdout, 'available\n');
  });

  test('openSys() says that a Node without node:ffi has none', () => {
    const { status, stdout } = child('--no-experimental-ffi');
    assert.equal(status, 0);
    assert.match(stdout, /has no node:ffi/);
  });
});

describe('readable()', () => {
  const readable = (address: bigint, length: number) => sysHere().readable(address, length);

  test('readable() is true of memory of this process, every byte of it', () => {
    withPages(3, [], (address) => assert.equal(readable(address, 3 * PAGE_BYTES), true));
  });

  test('readable() is false at address 0, at no address at all, and at a page without rights', () => {
    assert.equal(readable(0n, 1), false);
    assert.equal(readable(0xffff_8000_0000_0000n, 1), false);
    withPages(1, [0], (address) => assert.equal(readable(address, 1), false));
  });

  test('readable() is false where any page of the range cannot be read', () => {
    for (const bad of [0, 1, 2]) {
      withPages(3, [bad], (address) => assert.equal(readable(address, 3 * PAGE_BYTES), false, `page ${bad}`));
    }
  });

  test('readable() looks at the page of the last byte, wherever in a page the range begins', () => {
    withPages(2, [1], (address) => {
      assert.equal(readable(address + BigInt(PAGE_BYTES) - 1n, 1), true);
      assert.equal(readable(address + BigInt(PAGE_BYTES) - 1n, 2), false);
      assert.equal(readable(address + 100n, PAGE_BYTES), false);
    });
  });
});

describe('check()', () => {
  test('check() passes a result through', () => {
    assert.equal(sysHere().check('nothing', 0), 0);
    assert.equal(sysHere().check('nothing', 7n), 7n);
  });

  test('check() names the call and the errno of one that failed', () => {
    const sys = sysHere();
    assert.throws(
      () => sys.check('open of /no/such/file', sys.libc.open('/no/such/file', 0)),
      (error) => {
        assert.ok(error instanceof SystemCallError);
        assert.equal(error.message, 'open of /no/such/file: ENOENT');
        assert.deepEqual([error.call, error.errno, error.code], ['open of /no/such/file', 2, 'ENOENT']);
        return true;
      },
    );
  });

  test('check() takes MAP_FAILED for a failure', () => {
    const sys = sysHere();
    const failing = () => sys.check('mmap', sys.libc.mmap(0n, 0n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n));
    assert.throws(failing, { message: 'mmap: EINVAL' });
  });

  test('SystemCallError gives the number where it has no name for an errno', () => {
    assert.equal(new SystemCallError('ioctl KVM_RUN', 115).message, 'ioctl KVM_RUN: errno 115');
  });
});

describe('view() and load()', () => {
  test('view() shows memory without a copy', () => {
    withPages(1, [], (address) => {
      const sys = sysHere();
      new Uint8Array(sys.view(address, PAGE_BYTES))[5] = 42;
      assert.equal(new Uint8Array(sys.view(address, PAGE_BYTES))[5], 42);
      assert.equal(sys.ffi.getInt32(address + 4n), 42 << 8);
    });
  });

  test('load() throws on bytes that are no shared object, and leaves no descriptor behind', () => {
    const sys = sysHere();
    const lowest = () => {
      const fd = sys.check('memfd_create', sys.libc.memfd_create('probe', 0));
      sys.check('close', sys.libc.close(fd));
      return fd;
    };
    const before = lowest();
    assert.throws(() => sys.load(new Uint8Array(64), {}), /invalid ELF header|file too short|not an ELF/i);
    assert.equal(lowest(), before);
  });
});

test('isUnavailable() tells a reason from a thing', () => {
  assert.equal(isUnavailable({ unavailable: 'why' }), true);
  assert.equal(isUnavailable(sysHere()), false);
});
