import assert from 'node:assert/strict';
import { test } from 'node:test';
import { required, skipUnless } from './require.ts';

test('required() names what KVMCLOCK_REQUIRE lists', () => {
  assert.deepEqual(required({}), []);
  assert.deepEqual(required({ KVMCLOCK_REQUIRE: '' }), []);
  assert.deepEqual(required({ KVMCLOCK_REQUIRE: 'kvm' }), ['kvm']);
  assert.deepEqual(required({ KVMCLOCK_REQUIRE: 'kvm,live' }), ['kvm', 'live']);
});

test('required() throws on a need that there is not, so that a slip of the pen cannot turn a failure into a skip', () => {
  assert.throws(() => required({ KVMCLOCK_REQUIRE: 'KVM' }), /there is kvm and live, not "KVM"/);
});

test('skipUnless() skips with the reason, or fails where KVMCLOCK_REQUIRE names the need', (t) => {
  const skipped: (string | undefined)[] = [];
  const context = Object.assign(Object.create(t), { skip: (reason?: string) => skipped.push(reason) });
  const env: { KVMCLOCK_REQUIRE?: string | undefined } = process.env;
  const { KVMCLOCK_REQUIRE } = env;
  try {
    env.KVMCLOCK_REQUIRE = 'live';
    assert.equal(skipUnless(context, 'live', true), false);
    assert.equal(skipUnless(context, 'kvm', 'no such device'), true);
    assert.throws(() => skipUnless(context, 'live', 'no record'), /asks for live, but: no record/);
    assert.deepEqual(skipped, ['kvm: no such device']);
  } finally {
    if (KVMCLOCK_REQUIRE === undefined) delete env.KVMCLOCK_REQUIRE;
    else env.KVMCLOCK_REQUIRE = KVMCLOCK_REQUIRE;
  }
});
