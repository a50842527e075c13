import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { KVM_2015_FAULTS } from '../hypervisor/faults-2015.ts';
import { KVM_FAULTS } from '../hypervisor/faults-kvm.ts';

const markdown = readFileSync(path.join(import.meta.dirname, '../../docs/kvm-faults.md'), 'utf8');

/** The first column of the table below `heading`, without its own heading. */
function rowsBelow(heading: string): string[] {
  const section = markdown.split(/^## /m).find((text) => text.startsWith(`${heading}\n`));
  const rows = Array.from(section?.matchAll(/^\| (.*?) \|/gm) ?? [], ([, cell]) => cell!);
  return rows.slice(1).sort();
}

test('docs/kvm-faults.md lists the faults that are tested, and no other', () => {
  assert.deepEqual(rowsBelow('Today'), Object.keys(KVM_FAULTS).sort());
  assert.deepEqual(rowsBelow('January 2015'), Object.keys(KVM_2015_FAULTS).sort());
});
