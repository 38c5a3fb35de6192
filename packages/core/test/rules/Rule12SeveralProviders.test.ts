import { assert, describe, it } from "@effect/vitest"
import type { ProviderRegistration } from "@effect-jwks/core"
import { ScriptedProvider, staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, assertWaits, begin, errorAtOnce, minutes, openRegistry, settle, start } from "./support.ts"

/** Three providers, of which a test registers as many as it needs with one tenant. */
const setUp = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const [one, two, three] = yield* Effect.all([
    ScriptedProvider.make({ issuer: "https://one.test" }),
    ScriptedProvider.make({ issuer: "https://two.test" }),
    ScriptedProvider.make({ issuer: "https://three.test" }),
  ])
  const registry = yield* openRegistry([one, two, three])
  const register = (provider: "one" | "two" | "three", more?: Partial<ProviderRegistration>) =>
    registry.register({ tenant: "acme", provider, jwksUrl: { one, two, three }[provider].jwksUrl, ...more })
  const load = (provider: "one" | "two" | "three", more?: Partial<ProviderRegistration>) =>
    Effect.andThen(register(provider, more), registry.resolve("acme", provider))
  return { one, two, three, registry, register, load, ask: (kid: string) => registry.resolveKey("acme", kid) }
})

describe("Rule 12: a tenant with several providers, and no provider given", () => {
  it.effect("the kid in one usable set answers at once, and says whose it is", () =>
    Effect.gen(function* () {
      const { ask, load, one, two } = yield* setUp
      yield* load("one")
      yield* load("two")
      assert.deepInclude(yield* answerAtOnce(ask(two.keys.current.kid)), { provider: "two" })
      assert.deepInclude(yield* answerAtOnce(ask(one.keys.current.kid)), { provider: "one" })
      assert.deepStrictEqual([one.requests, two.requests], [1, 1])
    }),
  )

  it.effect("waits for nobody else: not for one that is cold and hangs, nor to rule out ambiguity", () =>
    Effect.gen(function* () {
      const { ask, load, one, register, two, three } = yield* setUp
      yield* three.faults.status(404)
      yield* register("three")
      yield* load("one")
      yield* two.faults.hang()
      yield* register("two")
      yield* settle
      assert.deepInclude(yield* answerAtOnce(ask(one.keys.current.kid)), { provider: "one" })
    }),
  )

  it.effect("a stale set answers too", () =>
    Effect.gen(function* () {
      const { ask, load, one, two } = yield* setUp
      yield* load("one")
      yield* load("two")
      yield* one.faults.status(404)
      yield* TestClock.adjust("30 minutes")
      assert.deepInclude(yield* answerAtOnce(ask(one.keys.current.kid)), { provider: "one", freshness: "stale" })
      assert.deepInclude(yield* answerAtOnce(ask(two.keys.current.kid)), { provider: "two", freshness: "fresh" })
    }),
  )

  it.effect("the same thumbprint in several: the first registered answers", () =>
    Effect.gen(function* () {
      const { ask, load, one, three, two } = yield* setUp
      for (const idp of [one, two, three]) yield* idp.keys.publishRaw({ keys: staticKeys(1, { kidPrefix: "k" }) })
      for (const provider of ["two", "three", "one"] as const) yield* load(provider)
      assert.deepInclude(yield* answerAtOnce(ask("k1")), { provider: "two" })
    }),
  )

  it.effect("different keys under it: KeyAmbiguous, with their thumbprints; the provider tells them apart", () =>
    Effect.gen(function* () {
      const { ask, load, one, registry, two } = yield* setUp
      const first = yield* one.keys.rotate({ kid: "1" })
      const second = yield* two.keys.rotate({ kid: "1" })
      yield* load("one")
      yield* load("two")
      const error = yield* errorAtOnce(ask("1"))
      assert.deepInclude(error, { _tag: "KeyAmbiguous", tenant: "acme", kid: "1" })
      if (error._tag === "KeyAmbiguous") {
        assert.sameMembers([...error.thumbprints], [first.thumbprint, second.thumbprint])
      }
      const key = yield* answerAtOnce(registry.resolveKey("acme", "1", { provider: "two" }))
      assert.strictEqual(key.thumbprint, second.thumbprint)
      assert.deepStrictEqual([one.requests, two.requests], [1, 1])
    }),
  )

  it.effect("different keys under it, of which one fits the alg: that one", () =>
    Effect.gen(function* () {
      const { load, one, registry, two } = yield* setUp
      yield* one.keys.rotate({ kid: "1" })
      const second = yield* two.keys.rotate({ kid: "1", alg: "EdDSA" })
      yield* load("one")
      yield* load("two")
      const key = yield* answerAtOnce(registry.resolveKey("acme", "1", { alg: "EdDSA" }))
      assert.deepInclude(key, { provider: "two", thumbprint: second.thumbprint })
    }),
  )

  it.effect("in none: every provider is asked at once, and the one that has it now answers", () =>
    Effect.gen(function* () {
      const { ask, load, one, two } = yield* setUp
      yield* load("one")
      yield* load("two")
      const { kid } = yield* two.keys.rotate()
      yield* one.faults.hold
      yield* two.faults.hold
      const caller = yield* begin(ask(kid))
      assertWaits(caller)
      assert.deepStrictEqual([one.faults.held, two.faults.held], [1, 1])
      // It does not wait for the other.
      yield* two.faults.release()
      assert.deepInclude(yield* answerAtOnce(Fiber.join(caller)), { provider: "two", kid })
      assert.strictEqual(one.faults.held, 1)
      yield* one.faults.release()
    }),
  )

  it.effect("in none, and one is cold: its first flight is joined", () =>
    Effect.gen(function* () {
      const { ask, load, one, register, two } = yield* setUp
      yield* load("one")
      yield* two.faults.hold
      yield* register("two")
      const caller = yield* begin(ask(two.keys.current.kid))
      assertWaits(caller)
      yield* two.faults.release()
      assert.deepInclude(yield* answerAtOnce(Fiber.join(caller)), { provider: "two" })
      assert.strictEqual(two.requests, 1)
      assert.isAtMost(one.requests, 2)
    }),
  )

  it.effect("all cold, and nobody has asked before: they are fetched side by side", () =>
    Effect.gen(function* () {
      const { ask, one, register, three, two } = yield* setUp
      for (const provider of ["one", "two", "three"] as const) yield* register(provider, { warm: false })
      for (const idp of [one, two, three]) yield* idp.faults.hold
      const caller = yield* begin(ask(three.keys.current.kid))
      assert.deepStrictEqual([one.requests, two.requests, three.requests], [1, 1, 1])
      yield* three.faults.release()
      assert.deepInclude(yield* answerAtOnce(Fiber.join(caller)), { provider: "three" })
    }),
  )

  it.effect("none has it, and all were asked: KeyNotFound, confirmed", () =>
    Effect.gen(function* () {
      const { ask, load, one, two } = yield* setUp
      yield* load("one")
      yield* load("two")
      const error = yield* errorAtOnce(ask("ghost"))
      assert.deepInclude(error, { _tag: "KeyNotFound", tenant: "acme", kid: "ghost", confirmed: true })
      assert.deepStrictEqual([one.requests, two.requests], [2, 2])
      yield* errorAtOnce(ask("ghost"))
      assert.deepStrictEqual([one.requests, two.requests], [2, 2])
    }),
  )

  it.effect("none has it, and one could not be asked: KeyNotFound, not confirmed", () =>
    Effect.gen(function* () {
      const { ask, load, two } = yield* setUp
      yield* load("one")
      yield* load("two")
      yield* two.faults.status(503)
      assert.deepInclude(yield* errorAtOnce(ask("ghost")), { _tag: "KeyNotFound", confirmed: false })
    }),
  )

  it.effect("none has it, and one is unavailable: JwksUnavailable", () =>
    Effect.gen(function* () {
      const { ask, load, register, two } = yield* setUp
      yield* load("one")
      yield* two.faults.status(404)
      yield* register("two")
      const error = yield* errorAtOnce(ask("ghost"))
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") assert.deepInclude(error.reason, { _tag: "HttpStatus", status: 404 })
    }),
  )

  it.effect("one that is down does not hide the others", () =>
    Effect.gen(function* () {
      const { ask, one, register, three, two } = yield* setUp
      yield* one.faults.status(503)
      yield* two.faults.hang()
      for (const provider of ["one", "two", "three"] as const) yield* register(provider, { warm: false })
      assert.deepInclude(yield* answerAtOnce(ask(three.keys.current.kid)), { provider: "three" })
    }),
  )

  it.effect("a dropped key of one provider is told apart from a kid that nobody knows", () =>
    Effect.gen(function* () {
      const { ask, load, two } = yield* setUp
      yield* two.keys.publish([{ kty: "oct", k: "AAAA", kid: "secret" }])
      yield* load("one")
      yield* load("two")
      const error = yield* errorAtOnce(ask("secret"))
      assert.strictEqual(error._tag, "KeyNotFound")
    }),
  )

  it.effect("a tenant with one provider needs no name", () =>
    Effect.gen(function* () {
      const { ask, load, one } = yield* setUp
      yield* load("one")
      assert.deepInclude(yield* answerAtOnce(ask(one.keys.current.kid)), { provider: "one" })
      assert.deepInclude(yield* errorAtOnce(ask("ghost")), { _tag: "KeyNotFound", confirmed: true })
    }),
  )

  it.effect("an unregistered provider answers nothing any more, the others go on", () =>
    Effect.gen(function* () {
      const { ask, load, one, registry, two } = yield* setUp
      yield* load("one")
      yield* load("two")
      yield* registry.unregister("acme", "one")
      assert.deepInclude(yield* errorAtOnce(ask(one.keys.current.kid)), { _tag: "KeyNotFound" })
      assert.deepInclude(yield* answerAtOnce(ask(two.keys.current.kid)), { provider: "two" })
      yield* registry.unregister("acme", "two")
      assert.deepInclude(yield* errorAtOnce(ask(two.keys.current.kid)), { _tag: "NotRegistered", tenant: "acme" })
    }),
  )

  it.effect("a flood of unknown kids spends each provider's own budget, and no more", () =>
    Effect.gen(function* () {
      const { ask, load, one, three, two } = yield* setUp
      for (const provider of ["one", "two", "three"] as const) yield* load(provider)
      for (let i = 0; i < 500; i += 1) yield* Effect.flip(ask(`ghost-${i}`))
      assert.deepStrictEqual([one.requests, two.requests, three.requests], [3, 3, 3])
      yield* TestClock.adjust(minutes(1))
      for (const idp of [one, two, three]) yield* answerAtOnce(ask(idp.keys.current.kid))
    }),
  )

  it.effect("an outage of one leaves kids of the others confirmed by name", () =>
    Effect.gen(function* () {
      const { load, register, registry, two } = yield* setUp
      yield* load("one")
      yield* two.faults.status(404)
      yield* register("two")
      const error = yield* errorAtOnce(registry.resolveKey("acme", "ghost", { provider: "one" }))
      assert.deepInclude(error, { _tag: "KeyNotFound", confirmed: true })
    }),
  )
})
