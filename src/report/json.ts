/** One object as JSON for scripts: u64 as decimal strings, as JSON's numbers end at 2^53; what is not there is null. */
export function toJson(value: object): string {
  return `${JSON.stringify(value, jsonValue, 2)}\n`;
}

function jsonValue(_: string, item: unknown): unknown {
  return typeof item === 'bigint' ? item.toString() : (item ?? null);
}
