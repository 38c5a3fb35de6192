import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { FakeProvider, ScriptedProvider, TestRegistry } from "../src/index.ts"

describe("TestRegistry", () => {
  it.live("resolves the key of a token from a provider on a socket, over plain http", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider
      yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: provider.jwksUrl })
      const { kid, thumbprint } = provider.keys.current
      const key = yield* JwksRegistry.resolveKey("acme", kid)
      assert.deepStrictEqual([key.thumbprint, key.freshness], [thumbprint, "fresh"])
      yield* JwksRegistry.resolveKey("acme", kid)
      assert.strictEqual(provider.requests, 1)
    }).pipe(Effect.provide(Layer.merge(TestRegistry.layer(), FakeProvider.layer()))),
  )

  it.effect("lives through an outage on the test clock, with a provider without a socket", () =>
    Effect.gen(function* () {
      const { faults, jwksUrl, keys } = yield* ScriptedProvider
      yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl })
      const { kid } = keys.current
      assert.strictEqual((yield* JwksRegistry.resolveKey("acme", kid)).freshness, "fresh")
      yield* faults.status(503)
      yield* TestClock.adjust("30 minutes")
      assert.strictEqual((yield* JwksRegistry.resolveKey("acme", kid)).freshness, "stale")
      yield* TestClock.adjust("1 hour")
      // Past the window the answer waits for a flight, and that backs off on the test's clock.
      const late = yield* Effect.forkChild(Effect.flip(JwksRegistry.resolveKey("acme", kid)))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(late))._tag, "JwksUnavailable")
    }).pipe(Effect.provide(TestRegistry.layerNoClient().pipe(Layer.provideMerge(ScriptedProvider.layer())))),
  )

  it.effect("keeps to options that are stricter", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(
        JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: "http://127.0.0.1/jwks" }),
      )
      assert.strictEqual(refused._tag, "InvalidRegistration")
    }).pipe(Effect.provide(TestRegistry.layer({ requireHttps: true, defaults: { requireHttps: true } }))),
  )
})
