/**
 * Prints what `measureRestore` measures, several times in one process.
 *
 *     node packages/redis/test/restore.program.ts [runs]
 */
import * as Effect from "effect/Effect"
import { startRedis } from "./support/RedisServer.ts"
import { count, measureRestore } from "./support/Scale.ts"

const runs = Number(process.argv[2] ?? 1)

const program = Effect.gen(function* () {
  for (let run = 0; run < runs; run++) {
    const server = yield* startRedis()
    const { oneByOne, requests, restored } = yield* measureRestore(server)
    console.log(
      `${count} sets: ${restored.millis.toFixed(0)} ms in ${restored.roundTrips} round trips, ${restored.done} restored, ` +
        `${requests} requests upstream; one by one ${oneByOne.millis.toFixed(0)} ms; ` +
        `ratio ${(restored.millis / oneByOne.millis).toFixed(3)}`,
    )
  }
})

await Effect.runPromise(Effect.scoped(program))
