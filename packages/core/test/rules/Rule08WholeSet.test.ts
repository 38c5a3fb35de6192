import { assert, describe, it } from "@effect/vitest"
import type { UnavailableReason } from "@effect-jwks/core"
import { staticKeys, type IdentityProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, begin, errorAtOnce, setUp, setUpLoaded, start } from "./support.ts"

type Reason = typeof UnavailableReason.Type

const failures: ReadonlyArray<{
  readonly name: string
  readonly reason: Reason["_tag"]
  readonly inject: (idp: IdentityProvider) => Effect.Effect<unknown>
}> = [
  { name: "a 500", reason: "HttpStatus", inject: ({ faults }) => faults.status(500) },
  { name: "a 404", reason: "HttpStatus", inject: ({ faults }) => faults.status(404) },
  { name: "a 204", reason: "HttpStatus", inject: ({ faults }) => faults.status(204) },
  { name: "a refused connection", reason: "TransportFailed", inject: ({ faults }) => faults.refuse() },
  { name: "a reset half-way through", reason: "TransportFailed", inject: ({ faults }) => faults.resetMidway() },
  { name: "a body that is cut short", reason: "TransportFailed", inject: ({ faults }) => faults.truncated() },
  { name: "silence", reason: "TimedOut", inject: ({ faults }) => faults.hang() },
  { name: "an endless body", reason: "BodyTooLarge", inject: ({ faults }) => faults.oversized(Infinity) },
  { name: "HTML with a 200", reason: "BodyInvalid", inject: ({ faults }) => faults.body("<html></html>") },
  { name: "JSON that is no set", reason: "BodyInvalid", inject: ({ faults }) => faults.body('{"error":"down"}') },
  { name: "an empty body", reason: "BodyInvalid", inject: ({ faults }) => faults.body("") },
  { name: "an empty set", reason: "NoUsableKeys", inject: ({ faults }) => faults.body('{"keys":[]}') },
  {
    name: "a set of unusable keys",
    reason: "NoUsableKeys",
    inject: ({ faults }) => faults.body(JSON.stringify({ keys: [{ kty: "oct", k: "AAAA", kid: "s" }, { kty: "?" }] })),
  },
  {
    name: "a redirect into the local network",
    reason: "AddressRefused",
    inject: ({ faults }) => faults.redirect("https://169.254.169.254/latest"),
  },
]

describe("Rule 8: a failed refresh never removes a good set", () => {
  for (const { inject, name, reason } of failures) {
    it.effect(`keeps the set through ${name}: ${reason}`, () =>
      Effect.gen(function* () {
        const { idp, refresh, resolve, status } = yield* setUpLoaded({ options: { allowPrivateAddresses: false } })
        const key = yield* resolve()
        const before = yield* status
        yield* inject(idp)
        const refreshing = yield* begin(Effect.flip(refresh))
        yield* TestClock.adjust("8 seconds")
        const error = yield* answerAtOnce(Fiber.join(refreshing))
        assert.strictEqual(error._tag, "JwksUnavailable")
        if (error._tag === "JwksUnavailable") assert.strictEqual(error.reason._tag, reason)
        assert.strictEqual(yield* answerAtOnce(resolve()), key)
        const after = yield* status
        assert.deepStrictEqual(
          [after.keys, after.fetchedAt, after.expiresAt, after.staleUntil],
          [before.keys, before.fetchedAt, before.expiresAt, before.staleUntil],
        )
        assert.strictEqual(after.failure?.reason._tag, reason)
      }),
    )
  }
})

describe("Rule 8: a good answer replaces the whole set, never merges", () => {
  it.effect("a key that is gone from the document is gone, at once", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve, resolveSet } = yield* setUpLoaded()
      const old = idp.keys.current
      const { kid } = yield* idp.keys.rotate({ keepOld: false })
      assert.strictEqual((yield* answerAtOnce(resolve(old.kid))).kid, old.kid)
      yield* refresh
      assert.strictEqual((yield* errorAtOnce(resolve(old.kid)))._tag, "KeyNotFound")
      assert.deepStrictEqual(
        (yield* resolveSet).jwks.keys.map((key) => key.kid),
        [kid],
      )
    }),
  )

  it.effect("the same kid with another key gives the other key", () =>
    Effect.gen(function* () {
      const [first, second] = staticKeys(2)
      const { idp, refresh, resolve } = yield* setUpLoaded({
        before: (idp) => idp.keys.publishRaw({ keys: [{ ...first, kid: "1" }] }),
      })
      assert.strictEqual((yield* resolve("1")).jwk.x, first?.x)
      yield* idp.keys.publishRaw({ keys: [{ ...second, kid: "1" }] })
      yield* refresh
      assert.strictEqual((yield* answerAtOnce(resolve("1"))).jwk.x, second?.x)
    }),
  )

  it.effect("memory does not grow with the history of a provider that turns over", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded()
      for (let i = 0; i < 50; i += 1) {
        yield* idp.keys.publishRaw({ keys: staticKeys(10, { from: 1 + i * 10 }) })
        yield* TestClock.adjust("1 minute")
        yield* refresh
      }
      assert.deepStrictEqual(
        (yield* status).keys.map((key) => key.kid),
        staticKeys(10, { from: 491 }).map((key) => key.kid),
      )
    }),
  )

  it.effect("one bad key does not cost the set", () =>
    Effect.gen(function* () {
      const keys = [...staticKeys(1), { kty: "future", kid: "f" }, null, 7, [], "key", { kid: "no kty" }]
      const { resolve, resolveSet, status } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys }) })
      yield* resolve("static-1")
      assert.lengthOf((yield* resolveSet).jwks.keys, 1)
      assert.deepInclude((yield* status).dropped, { kid: "f", reason: "UnsupportedKeyType" })
      assert.lengthOf((yield* status).dropped, 6)
    }),
  )

  it.effect("a 200 without a usable key is a failure, also for a provider that never loaded", () =>
    Effect.gen(function* () {
      const { resolve, status } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: [] }) })
      const error = yield* errorAtOnce(resolve("1"))
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") assert.strictEqual(error.reason._tag, "NoUsableKeys")
      assert.deepInclude(yield* status, { usable: false, state: "Empty" })
    }),
  )

  it.effect("refuses more than maxKeys entries, and reads as many", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded({
        before: (idp) => idp.keys.publishRaw({ keys: staticKeys(20) }),
        registration: { maxKeys: 20 },
      })
      assert.lengthOf((yield* status).keys, 20)
      yield* idp.keys.publishRaw({ keys: staticKeys(21) })
      const error = yield* Effect.flip(refresh)
      assert.strictEqual(error._tag, "JwksUnavailable")
      assert.lengthOf((yield* status).keys, 20)
    }),
  )

  it.effect("knows again what it held before, when a vanished set comes back", () =>
    Effect.gen(function* () {
      const { idp, refresh, resolve } = yield* setUpLoaded({
        before: (idp) => idp.keys.publishRaw({ keys: staticKeys(1) }),
      })
      yield* idp.keys.publishRaw({ keys: staticKeys(1, { from: 2 }) })
      yield* refresh
      yield* idp.keys.publishRaw({ keys: staticKeys(1) })
      yield* refresh
      assert.strictEqual((yield* answerAtOnce(resolve("static-1"))).fetchedAt, start)
      assert.strictEqual((yield* errorAtOnce(resolve("static-2")))._tag, "KeyNotFound")
    }),
  )
})
