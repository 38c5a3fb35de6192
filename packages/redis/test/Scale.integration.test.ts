import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { hasNoRedis, startRedis } from "./support/RedisServer.ts"
import { count, measureRestore } from "./support/Scale.ts"

describe.skipIf(hasNoRedis)("Ten thousand snapshots", () => {
  it.live(
    "come back in at most 100 round trips, without a request upstream, and sooner than one by one",
    () =>
      Effect.gen(function* () {
        const server = yield* startRedis()
        const { oneByOne, requests, restored, stored } = yield* measureRestore(server)
        console.log(
          `${count} snapshots: restored in ${restored.millis.toFixed(0)} ms and ${restored.roundTrips} round trips; ` +
            `read one by one in ${oneByOne.millis.toFixed(0)} ms`,
        )
        assert.deepStrictEqual([stored, restored.done, oneByOne.found, requests], [count, count, count, 0])
        assert.isAtMost(restored.roundTrips, 100)
        assert.isBelow(restored.millis, oneByOne.millis)
      }),
    120_000,
  )
})
