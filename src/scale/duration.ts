/** Durations for people. */

const UNITS = [
  ['s', 1e9],
  ['ms', 1e6],
  ['us', 1e3],
] as const;

/** "19.4 ns", "1.25 us", "3.10 s": three significant digits or so, never more than a unit needs. */
export function formatNs(ns: number): string {
  for (const [unit, size] of UNITS) if (Math.abs(ns) >= size) return `${digits(ns / size)} ${unit}`;
  return `${digits(ns)} ns`;
}

function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** A long duration in its two largest units: "3 d 4 h", "40 min 46 s", "1.25 s". */
export function formatAge(ns: number): string {
  const seconds = Math.floor(ns / 1e9);
  if (seconds < 60) return formatNs(ns);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
