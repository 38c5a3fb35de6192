/**
 * How long to wait before the next attempt to reach the server again.
 */

const first = 500
const longest = 30_000

/**
 * Milliseconds before attempt number `failures` (from 1): doubling up to 30 s. `random` (0 to 1) takes up to half of
 * it away, so that all open pages do not come back to a restarted server at once.
 */
export const reconnectDelay = (failures: number, random: number): number => {
  const full = Math.min(longest, first * 2 ** Math.max(0, failures - 1))
  return Math.round(full * (1 - random / 2))
}
