/**
 * The parts of prom-client that the metrics use. This is the only file that names the package: the build puts these parts
 * into it, so the package that is published depends on nothing.
 */
export { Counter, Gauge, Registry } from 'prom-client';
