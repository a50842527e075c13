/**
 * Skipping where a machine lacks something, and failing instead where the environment says that it must not: with
 * KVMCLOCK_REQUIRE=kvm,live a test that would be skipped for want of /dev/kvm or of the live record fails.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';

/** What a test may need of the machine: /dev/kvm to be opened, or this guest's own record to be read. */
export type Need = 'kvm' | 'live';

/**
 * To be called first in a test: `if (skipUnless(t, 'kvm', available)) return;`. `available`: true, or the reason why
 * not. Skips `t` with the reason and returns true, or throws where KVMCLOCK_REQUIRE names `need`.
 */
export function skipUnless(t: TestContext, need: Need, available: true | string): boolean {
  if (available === true) return false;
  assert.ok(!required(process.env).includes(need), `KVMCLOCK_REQUIRE asks for ${need}, but: ${available}`);
  t.skip(`${need}: ${available}`);
  return true;
}

/** The needs that KVMCLOCK_REQUIRE names. Throws where it names something else. */
export function required(env: NodeJS.ProcessEnv): readonly string[] {
  const { KVMCLOCK_REQUIRE = '' } = env;
  const names = KVMCLOCK_REQUIRE.split(',').filter((name) => name !== '');
  const unknown = names.find((name) => name !== 'kvm' && name !== 'live');
  if (unknown !== undefined) throw new Error(`KVMCLOCK_REQUIRE: there is kvm and live, not ${JSON.stringify(unknown)}`);
  return names;
}
