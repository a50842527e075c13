import assert from 'node:assert/strict';
import { test } from 'node:test';
import { required } from './require.ts';

test('required() names what KVMCLOCK_REQUIRE lists', () => {
  assert.deepEqual(required({}), []);
  assert.deepEqual(required({ KVMCLOCK_REQUIRE: '' }), []);
  assert.deepEqual(required({ KVMCLOCK_REQUIRE: 'kvm' }), ['kvm']);
  assert.deepEqual(required({ KVMCLOCK_REQUIRE: 'kvm,live' }), ['kvm', 'live']);
});

test('required() throws on a need that there is not, so that a slip of the pen cannot turn a failure into a skip', () => {
  assert.throws(() => required({ KVMCLOCK_REQUIRE: 'KVM' }), /there is kvm and live, not "KVM"/);
});
