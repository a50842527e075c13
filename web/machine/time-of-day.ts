/** A time of day, in ms since 1970, as the browser's user writes it, but of 24 hours: the same on the time line and in the list. */
export function timeOfDay(atMs: number): string {
  return new Date(atMs).toLocaleTimeString([], { hourCycle: 'h23' });
}
