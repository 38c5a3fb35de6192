/**
 * Keys are imported once, for as long as their set is there.
 */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import type { Jwk } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { check } from "../../src/internal/SignatureCheck.ts"
import { encodePart, forge, pairFor } from "../forge.ts"
import { collect } from "../garbage.ts"
import { saidOf, setUp, signedTextOf } from "../support.ts"

const claims = { iss: "https://idp.test" }

/** A token of a new key, and that key as a registry would hold it. */
const signed = Effect.fnUntraced(function* () {
  const { privateJwk, publicJwk } = yield* pairFor("ES256")
  const { crv = "", kty = "", x = "", y = "" } = publicJwk
  const jwk: Jwk = Object.freeze({ kty, crv, x, y })
  return { jwk, token: yield* forge({ scheme: "ES256", privateJwk }, { alg: "ES256" }, claims) }
})

const spyOnImports = () => vi.spyOn(crypto.subtle, "importKey")

describe("a key is imported", () => {
  afterEach(() => void vi.restoreAllMocks())

  it.effect("once, however often it is used", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      const imports = spyOnImports()
      for (let i = 0; i < 5; i++) assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Right")
      assert.strictEqual(imports.mock.calls.length, 1)
    }),
  )

  it.effect("once for a hundred who come while it is cold", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      const imports = spyOnImports()
      const all = yield* Effect.all(
        Array.from({ length: 100 }, () => saidOf(token, jwk, "ES256")),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(new Set(all), new Set(["Right"]))
      assert.strictEqual(imports.mock.calls.length, 1)
    }),
  )

  it.effect("once for each algorithm that it is used with", () =>
    Effect.gen(function* () {
      const { privateJwk, publicJwk } = yield* pairFor("RS256")
      const { e = "", kty = "", n = "" } = publicJwk
      const jwk: Jwk = Object.freeze({ kty, e, n })
      const rs = yield* forge({ scheme: "RS256", privateJwk }, { alg: "RS256" }, claims)
      const ps = yield* forge({ scheme: "PS256", privateJwk }, { alg: "PS256" }, claims)
      const imports = spyOnImports()
      for (let i = 0; i < 3; i++) {
        assert.strictEqual(yield* saidOf(rs, jwk, "RS256"), "Right")
        assert.strictEqual(yield* saidOf(ps, jwk, "PS256"), "Right")
      }
      assert.strictEqual(imports.mock.calls.length, 2)
    }),
  )

  it.effect("again after an import that failed", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      const imports = spyOnImports().mockRejectedValueOnce(new Error("out of memory"))
      assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Unusable")
      assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Right")
      assert.strictEqual(imports.mock.calls.length, 2)
    }),
  )

  it.effect("as a public key that does nothing but verify", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      const imports = spyOnImports()
      yield* saidOf(token, jwk, "ES256")
      const [result] = imports.mock.results
      const key: unknown = yield* Effect.promise(() => Promise.resolve(result?.value))
      assert.deepNestedInclude(key, { type: "public", usages: ["verify"] })
    }),
  )

  it.effect("once for all the tokens of a provider, and at most once more when its set changes", () =>
    Effect.gen(function* () {
      const { idp, registry, verify } = yield* setUp()
      const first = yield* idp.token()
      const imports = spyOnImports()
      yield* verify(first)
      yield* verify(first)
      const { length } = imports.mock.calls
      assert.strictEqual(length, 1)
      yield* idp.keys.add()
      yield* Effect.orDie(registry.refresh("acme", "idp"))
      const before = imports.mock.calls.length
      yield* verify(first)
      assert.isAtMost(imports.mock.calls.length - before, 1)
    }),
  )
})

describe("imported keys leave with their set", () => {
  it.effect("a JWK that nobody holds is collected, though its key was used", () =>
    Effect.gen(function* () {
      const use = Effect.fnUntraced(function* () {
        const { jwk, token } = yield* signed()
        assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Right")
        return new WeakRef(jwk)
      })
      const used = yield* use()
      yield* collect
      assert.isUndefined(used.deref())
    }),
  )

  it.effect("a JWK that somebody holds is not", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      yield* saidOf(token, jwk, "ES256")
      const held = new WeakRef(jwk)
      yield* collect
      assert.strictEqual(held.deref(), jwk)
    }),
  )

  it.effect("a registry's key is collected when it was replaced", () =>
    Effect.gen(function* () {
      const { idp, registry, verify } = yield* setUp()
      yield* verify(yield* idp.token())
      const use = Effect.fnUntraced(function* () {
        const { jwk } = yield* Effect.orDie(registry.resolveKey("acme", idp.keys.current.kid))
        return new WeakRef(jwk)
      })
      const used = yield* use()
      yield* idp.keys.rotate({ keepOld: false })
      yield* Effect.orDie(registry.refresh("acme", "idp"))
      yield* verify(yield* idp.token())
      yield* collect
      assert.isUndefined(used.deref())
    }),
  )
})

it.effect("only the numbers of a key count: what it says it is for is the registry's to judge", () =>
  Effect.gen(function* () {
    const { jwk, token } = yield* signed()
    const said = { alg: "ES384", use: "enc", key_ops: ["deriveBits"], kid: "1", x5c: ["AA=="], oth: [] }
    const talkative: Jwk = { ...jwk, ...said }
    assert.strictEqual(yield* saidOf(token, talkative, "ES256"), "Right")
    const other = `${signedTextOf(token).input}.${encodePart("x".repeat(64))}`
    assert.strictEqual(yield* saidOf(other, talkative, "ES256"), "Wrong")
  }),
)

describe("a signature", () => {
  afterEach(() => void vi.restoreAllMocks())

  it.effect("that the runtime throws at is wrong", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      vi.spyOn(crypto.subtle, "verify").mockRejectedValueOnce(new DOMException("no", "OperationError"))
      assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Wrong")
      assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Right")
    }),
  )

  it.effect("that a patched runtime throws at without a promise is wrong, for a cold key and a warm one", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      const refuse = () => {
        throw new TypeError("no")
      }
      vi.spyOn(crypto.subtle, "verify").mockImplementationOnce(refuse).mockImplementationOnce(refuse)
      assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Wrong")
      assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Wrong")
      assert.strictEqual(yield* saidOf(token, jwk, "ES256"), "Right")
    }),
  )

  it.effect("after which something throws is a defect, and nobody waits for ever", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      const defect = new Error("a registry of somebody's own")
      const exit = yield* Effect.exit(
        check(signedTextOf(token), jwk, "ES256", () => {
          throw defect
        }),
      )
      assert.deepStrictEqual<unknown>(exit, Exit.die(defect))
    }),
  )

  it.effect("that nobody waits for any more imports no key, whose failure nobody would see", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      const imports = spyOnImports()
      const unasked = saidOf(token, jwk, "ES256")
      assert.strictEqual(imports.mock.calls.length, 0)
      assert.strictEqual(yield* unasked, "Right")
      assert.strictEqual(imports.mock.calls.length, 1)
    }),
  )

  it.effect("that is no base64url is so before a key is imported", () =>
    Effect.gen(function* () {
      const { jwk, token } = yield* signed()
      const imports = spyOnImports()
      assert.strictEqual(yield* saidOf(`${token}!`, jwk, "ES256"), "Malformed")
      assert.strictEqual(imports.mock.calls.length, 0)
    }),
  )
})
