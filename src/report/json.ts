/** One object as JSON for scripts: u64 as decimal strings, as JSON's numbers end at 2^53. */
export function toJson(value: object): string {
  return `${JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? item.toString() : item), 2)}\n`;
}
