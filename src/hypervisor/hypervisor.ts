/** The one door: a VM's clock, of whichever hypervisor. */
import { createKvm, type KvmHypervisor, type KvmOptions } from './kvm.ts';
import { createXen, type XenHypervisor, type XenOptions } from './xen.ts';

/**
 * Makes the clock of a new VM. `flavour`: `kvmclock` (ours, the default), `kvm` (as it is today, with what it gets wrong),
 * `kvm-2015`, `kvm-2014`, or `xen`, whose guests ask for their records in another way and so have another object.
 *
 *   const clock = createHypervisor({ memory, vcpus: 2, hostClock });
 *
 * Throws RangeError on options that cannot be.
 */
export function createHypervisor(options: XenOptions & { readonly flavour: 'xen' }): XenHypervisor;
export function createHypervisor(options: KvmOptions): KvmHypervisor;
export function createHypervisor(
  options: KvmOptions | (XenOptions & { readonly flavour: 'xen' }),
): KvmHypervisor | XenHypervisor {
  return options.flavour === 'xen' ? createXen(options) : createKvm(options);
}
