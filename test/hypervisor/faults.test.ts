/** Each fault is there where it is said to be, and nowhere else: docs/kvm-faults.md lists them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FlavourName } from '../../src/hypervisor/policy.ts';
import { KVM_2015_FAULTS } from './faults-2015.ts';
import { type Faults, KVM_FAULTS } from './faults-kvm.ts';
import { world } from './world.ts';

function hold(name: string, faults: Faults, flavours: Partial<Record<FlavourName, boolean>>): void {
  for (const [fault, isThere] of Object.entries(faults)) {
    test(`${name}: ${fault}`, () => {
      for (const [flavour, expected] of Object.entries(flavours) as [FlavourName, boolean][]) {
        assert.equal(
          isThere((options) => world({ ...options, flavour })),
          expected,
          flavour,
        );
      }
    });
  }
}

hold('KVM, but not ours', KVM_FAULTS, { kvm: true, kvmclock: false });
hold('KVM of 2015, but not of today, nor ours', KVM_2015_FAULTS, { 'kvm-2015': true, kvm: false, kvmclock: false });
