/**
 * From a token to an identity: what is accepted, and what each refusal says.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry } from "@effect-jwks/core"
import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { JwtVerifier, JwtVerifierLive } from "@effect-jwks/jwt"

const start = Date.UTC(2026, 10, 20)

const setUp = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const idp = yield* ScriptedProvider.make()
  const layer = JwtVerifierLive.pipe(
    Layer.provideMerge(TestRegistry.layerNoClient()),
    Layer.provide(ScriptedProvider.layerClient(idp)),
  )
  const context = yield* Layer.build(layer)
  yield* Effect.provideContext(
    JwksRegistry.register({ tenant: "acme", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl }),
    context,
  )
  return { idp, context }
})

describe("verify", () => {
  it.effect("gives the claims that the schema makes of them", () =>
    Effect.gen(function* () {
      const { context, idp } = yield* setUp
      const token = yield* idp.token({ sub: "ada", aud: "orders", age: "36" })
      const verified = yield* JwtVerifier.verify("acme", token, {
        audience: "orders",
        claims: Schema.Struct({ sub: Schema.String, age: Schema.NumberFromString }),
      }).pipe(Effect.provideContext(context))
      assert.deepStrictEqual(verified.claims, { sub: "ada", age: 36 })
      assert.strictEqual(verified.payload["age"], "36")
      assert.strictEqual(verified.provider, "idp")
      assert.strictEqual(verified.thumbprint, idp.keys.current.thumbprint)
    }),
  )
})
