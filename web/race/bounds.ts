/** How far a search may go here. A page shares its memory with others: less than the command allows itself. */
import type { Bounds } from '../../src/checker/explore.ts';

export const BOUNDS: Bounds = { states: 5_000_000, bytes: 512 * 2 ** 20 };
