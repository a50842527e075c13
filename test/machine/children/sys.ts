/** Prints what openSys() says of the process that it runs in. */
import { isUnavailable, openSys } from '../../../src/machine/sys.ts';

const sys = openSys();
console.log(isUnavailable(sys) ? sys.unavailable : 'available');
