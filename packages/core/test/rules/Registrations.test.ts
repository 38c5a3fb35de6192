/**
 * What is registered, as verifiers ask for it: whose tokens a provider vouches for, and with which algorithms.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { openRegistry } from "./support.ts"

const a = {
  tenant: "acme",
  provider: "a",
  issuer: "https://a.test",
  jwksUrl: "https://a.test/jwks",
  algorithms: ["ES256", "PS256"],
  warm: false,
} as const
const b = { tenant: "acme", provider: "b", jwksUrl: "https://b.test/jwks", warm: false } as const

describe("registrations", () => {
  it.effect("tells issuer and algorithms of a tenant's providers, in order of registration", () =>
    Effect.gen(function* () {
      const registry = yield* openRegistry([])
      yield* registry.register(a)
      yield* registry.register(b)
      const [first, second, third] = yield* registry.registrations("acme")
      assert.deepStrictEqual(first, {
        tenant: "acme",
        provider: "a",
        issuer: "https://a.test",
        algorithms: ["ES256", "PS256"],
      })
      assert.strictEqual(second?.provider, "b")
      assert.isFalse(second !== undefined && "issuer" in second)
      assert.isTrue(second?.algorithms.includes("RS256"))
      assert.isUndefined(third)
    }),
  )

  it.effect("is the same frozen list until a provider of the tenant changes", () =>
    Effect.gen(function* () {
      const registry = yield* openRegistry([])
      yield* registry.register(a)
      const before = yield* registry.registrations("acme")
      yield* registry.register({ ...b, tenant: "other" })
      assert.strictEqual(yield* registry.registrations("acme"), before)
      assert.isFrozen(before)
      assert.isFrozen(before[0])
      assert.isFrozen(before[0]?.algorithms)
      yield* registry.register({ ...a, issuer: "https://elsewhere.test" })
      assert.strictEqual((yield* registry.registrations("acme"))[0]?.issuer, "https://elsewhere.test")
      assert.strictEqual(before[0]?.issuer, "https://a.test")
    }),
  )

  it.effect("ends with the registration: a tenant without providers is not registered", () =>
    Effect.gen(function* () {
      const registry = yield* openRegistry([])
      yield* registry.register(a)
      yield* registry.register(b)
      yield* registry.unregister("acme", "a")
      assert.deepStrictEqual(
        (yield* registry.registrations("acme")).map(({ provider }) => provider),
        ["b"],
      )
      yield* registry.unregister("acme", "b")
      const error = yield* Effect.flip(registry.registrations("acme"))
      assert.deepInclude(error, { _tag: "NotRegistered", tenant: "acme" })
      assert.strictEqual((yield* Effect.flip(registry.registrations("nobody")))._tag, "NotRegistered")
    }),
  )
})
