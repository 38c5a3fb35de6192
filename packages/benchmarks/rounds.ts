/**
 * Measures contestants side by side: everybody answers the same look-ups once a round, and begins each
 * round one place later.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { Contestant } from "./contestants/contestant.ts"
import type { Token } from "./tokens.ts"

setFlagsFromString("--expose-gc")
const gc: (options: { readonly type: "major" | "minor" }) => void = runInNewContext("gc")

export interface RoundsOptions {
  readonly warmUpRounds: number
  readonly rounds: number
  /** Called after each contestant's turn. */
  readonly afterTurn: (contestant: Contestant) => void
}

/** Nanoseconds per look-up, of each contestant in each round. */
export type Times = ReadonlyMap<Contestant, ReadonlyArray<number>>

/** Throws when a look-up went unanswered. */
export const measure = async (
  contestants: ReadonlyArray<Contestant>,
  lookups: ReadonlyArray<Token>,
  { afterTurn, rounds, warmUpRounds }: RoundsOptions,
): Promise<Times> => {
  const times = new Map(contestants.map((contestant) => [contestant, Array.of<number>()]))
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    // A process that has been up for a while has collected what filling the caches left behind.
    if (round === 0) gc({ type: "major" })
    const first = (round + warmUpRounds) % contestants.length
    for (const contestant of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      // What one contestant leaves behind is not collected on the next one's time.
      gc({ type: "minor" })
      const begin = process.hrtime.bigint()
      const found = await contestant.run(lookups)
      const nanos = Number(process.hrtime.bigint() - begin)
      if (found !== lookups.length) {
        throw new Error(`${contestant.name} answered ${found} of ${lookups.length} look-ups`)
      }
      afterTurn(contestant)
      if (round >= 0) times.get(contestant)?.push(nanos / lookups.length)
    }
  }
  return times
}
