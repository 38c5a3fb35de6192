import { describe, it } from "@effect/vitest"
import { persistenceContract } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as RedisPersistence from "../src/RedisPersistence.ts"
import { hasNoRedis, startRedis } from "./support/RedisServer.ts"

describe.skipIf(hasNoRedis)("The contract of a backend, over RedisPersistence", () => {
  for (const rule of persistenceContract) {
    it.live(rule.name, () =>
      Effect.gen(function* () {
        const { port } = yield* startRedis()
        yield* Effect.provide(rule.run, RedisPersistence.layer({ port }))
      }),
    )
  }
})
