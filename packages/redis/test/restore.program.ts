/**
 * Prints what `measureRestore` measures, several times in one process.
 *
 *     node packages/redis/test/restore.program.ts [runs]
 */
import * as Effect from "effect/Effect"
import { startRedis } from "./support/RedisServer.ts"
import { describePair, measureRestore } from "./support/Scale.ts"

const runs = Number(process.argv[2] ?? 1)

const program = Effect.gen(function* () {
  for (let run = 0; run < runs; run++) {
    const server = yield* startRedis()
    const { best, measured, median, requests } = yield* measureRestore(server)
    for (const pair of measured) console.log(describePair(pair))
    console.log(`ratio: median ${median.toFixed(3)}, best ${best.toFixed(3)}; ${requests} requests upstream`)
  }
})

await Effect.runPromise(Effect.scoped(program))
