import { assert, describe, it } from "@effect/vitest"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, assertWaits, begin, openRegistry, setUp, start } from "./support.ts"

const world = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const [good, bad, slow] = yield* Effect.all([
    ScriptedProvider.make({ issuer: "https://good.test" }),
    ScriptedProvider.make({ issuer: "https://bad.test" }),
    ScriptedProvider.make({ issuer: "https://slow.test" }),
  ])
  const registry = yield* openRegistry([good, bad, slow])
  yield* bad.faults.status(404)
  yield* slow.faults.hang()
  return {
    good,
    bad,
    slow,
    registry,
    register: (provider: "good" | "bad" | "slow", warm = true) =>
      registry.register({ tenant: "acme", provider, jwksUrl: { good, bad, slow }[provider].jwksUrl, warm }),
  }
})

describe("warmUp waits until every registered provider is usable or has failed", () => {
  it.effect("answers at once where nothing is registered", () =>
    Effect.gen(function* () {
      const registry = yield* openRegistry([])
      assert.deepStrictEqual(yield* answerAtOnce(registry.warmUp({ timeout: "1 minute" })), [])
    }),
  )

  it.effect("waits for the first flight", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUp({ before: (idp) => idp.faults.hold })
      const warming = yield* begin(registry.warmUp({ timeout: "1 minute" }))
      yield* TestClock.adjust("2 seconds")
      assertWaits(warming)
      yield* idp.faults.release()
      assert.deepStrictEqual(yield* answerAtOnce(Fiber.join(warming)), [
        { tenant: "acme", provider: "idp", outcome: "usable" },
      ])
      assert.deepStrictEqual(yield* answerAtOnce(registry.warmUp({ timeout: "1 minute" })), [
        { tenant: "acme", provider: "idp", outcome: "usable" },
      ])
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("says who failed and why, without waiting for later attempts", () =>
    Effect.gen(function* () {
      const { bad, register, registry } = yield* world
      yield* register("good")
      yield* register("bad")
      const results = yield* answerAtOnce(registry.warmUp({ timeout: "1 minute" }))
      assert.deepStrictEqual(
        results.map(({ outcome, provider, tenant }) => [tenant, provider, outcome]),
        [
          ["acme", "good", "usable"],
          ["acme", "bad", "failed"],
        ],
      )
      assert.include(results[1]?.reason ?? "", "404")
      assert.notProperty(results[0], "reason")
      assert.strictEqual(bad.requests, 1)
    }),
  )

  it.effect("ends at its timeout, to the millisecond; the flights go on", () =>
    Effect.gen(function* () {
      const { good, register, registry, slow } = yield* world
      yield* register("slow")
      yield* register("good")
      const warming = yield* begin(registry.warmUp({ timeout: "1 second" }))
      yield* TestClock.adjust("999 millis")
      assertWaits(warming)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        (yield* answerAtOnce(Fiber.join(warming))).map(({ outcome }) => outcome),
        ["timedOut", "usable"],
      )
      assert.deepStrictEqual([slow.abandoned, good.requests], [0, 1])
    }),
  )

  it.effect("waits for a whole flight, retries included, when there is time", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUp({ before: (idp) => idp.faults.status(503, { next: 2 }) })
      const warming = yield* begin(registry.warmUp({ timeout: "1 minute" }))
      assertWaits(warming)
      yield* TestClock.adjust("750 millis")
      assert.deepInclude((yield* answerAtOnce(Fiber.join(warming)))[0], { outcome: "usable" })
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("fetches providers that were registered without", () =>
    Effect.gen(function* () {
      const { good, register, registry } = yield* world
      yield* register("good", false)
      assert.deepInclude((yield* answerAtOnce(registry.warmUp({ timeout: "1 minute" })))[0], { outcome: "usable" })
      assert.strictEqual(good.requests, 1)
    }),
  )

  it.effect("warms 16 providers side by side", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUp({ register: false })
      yield* idp.faults.delay("1 second")
      for (let i = 0; i < 16; i += 1) {
        yield* registry.register({ tenant: `t-${i}`, provider: "idp", jwksUrl: idp.jwksUrl, warm: false })
      }
      const warming = yield* begin(registry.warmUp({ timeout: "1 minute" }))
      yield* TestClock.adjust("1 second")
      const results = yield* answerAtOnce(Fiber.join(warming))
      assert.lengthOf(results, 16)
      for (const { outcome } of results) assert.strictEqual(outcome, "usable")
    }),
  )
})
