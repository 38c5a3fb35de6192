/**
 * Token headers and tenants' registrations are not typed: whatever they hold, callers get a typed error.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry } from "@effect-jwks/core"
import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const layer = TestRegistry.layerNoClient().pipe(Layer.provideMerge(ScriptedProvider.layer()))

/** As an application without types would call. */
const untyped = (value: unknown) => value as string

const loaded = Effect.gen(function* () {
  const idp = yield* ScriptedProvider
  yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
  yield* JwksRegistry.resolve("acme", "idp")
  return idp
})

const junk: ReadonlyArray<unknown> = [123, null, {}, [], true, ["static-1"], Symbol("kid"), Object.create(null)]

describe("a kid that is no text", () => {
  it.effect.each(junk)("%s: KeyNotFound, and no request", (kid) =>
    Effect.gen(function* () {
      const idp = yield* loaded
      for (const options of [undefined, { provider: "idp" }, { provider: "idp", alg: "ES256" }]) {
        const error = yield* Effect.flip(JwksRegistry.resolveKey("acme", untyped(kid), options))
        assert.deepInclude(error, { _tag: "KeyNotFound", confirmed: true, dropped: "InvalidKid" })
        assert.include(error.message, "acme")
      }
      assert.strictEqual(idp.requests, 1)
    }).pipe(Effect.provide(layer)),
  )

  it.effect("is no answer of a tenant with several providers either", () =>
    Effect.gen(function* () {
      const idp = yield* loaded
      yield* JwksRegistry.register({ tenant: "acme", provider: "other", jwksUrl: idp.jwksUrl })
      const error = yield* Effect.flip(JwksRegistry.resolveKey("acme", untyped(5)))
      assert.deepInclude(error, { _tag: "KeyNotFound", confirmed: true })
    }).pipe(Effect.provide(layer)),
  )
})

describe("a tenant or a provider that is no text", () => {
  it.effect.each(junk)("%s: NotRegistered", (id) =>
    Effect.gen(function* () {
      yield* loaded
      for (const asked of [
        Effect.asVoid(JwksRegistry.resolveKey(untyped(id), "a")),
        Effect.asVoid(JwksRegistry.resolve(untyped(id), "idp")),
        Effect.asVoid(JwksRegistry.refresh("acme", untyped(id))),
        Effect.asVoid(JwksRegistry.providerStatus(untyped(id), untyped(id))),
      ]) {
        assert.strictEqual((yield* Effect.flip(asked))._tag, "NotRegistered")
      }
    }).pipe(Effect.provide(layer)),
  )
})

describe("options that are null", () => {
  it.effect("are none", () =>
    Effect.gen(function* () {
      const idp = yield* loaded
      const key = yield* JwksRegistry.resolveKey("acme", idp.keys.current.kid, JSON.parse("null"))
      assert.strictEqual(key.kid, idp.keys.current.kid)
      const error = yield* Effect.flip(JwksRegistry.resolveKey("acme", "nobody's", JSON.parse("null")))
      assert.strictEqual(error._tag, "KeyNotFound")
    }).pipe(Effect.provide(layer)),
  )
})

describe("a registration that can not be read", () => {
  const nested = `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`
  const cyclic: Record<string, unknown> = { tenant: "acme", provider: "idp", jwksUrl: "https://idp.test/jwks" }
  cyclic["kidRefresh"] = cyclic

  it.effect.each([
    JSON.parse(`{"tenant":"t","provider":"p","jwksUrl":"https://idp.test/jwks","minTtl":${nested}}`),
    JSON.parse(`{"tenant":"t","provider":"p","jwksUrl":"https://idp.test/jwks","kidRefresh":${nested}}`),
    cyclic,
    {
      get tenant(): string {
        throw new Error("secret")
      },
    },
    new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error("secret")
        },
      },
    ),
    null,
    undefined,
    "acme",
  ])("is refused with a rule: case %#", (registration) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(JwksRegistry.register(registration))
      assert.strictEqual(error._tag, "InvalidRegistration")
      assert.isAbove(error.issues.length, 0)
      assert.notInclude(error.message, "secret")
    }).pipe(Effect.provide(layer)),
  )
})
