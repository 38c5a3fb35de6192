import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { calculateJwkThumbprint, createLocalJWKSet, decodeProtectedHeader, importJWK, jwtVerify } from "jose"
import { ProviderKeys, staticKeys, type SigningAlgorithm } from "../src/index.ts"

const published = (keys: ProviderKeys.ProviderKeys) => JSON.parse(new TextDecoder().decode(keys.document.bytes))

/** Verifies with the published document alone; the token's `sub`, or the name of jose's error. */
const verify = (keys: ProviderKeys.ProviderKeys, token: string) =>
  Effect.promise(() =>
    jwtVerify(token, createLocalJWKSet(published(keys))).then(
      ({ payload }) => payload.sub,
      (error: unknown) => (error instanceof Error ? error.name : error),
    ),
  )

const algorithms: ReadonlyArray<SigningAlgorithm> = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
]

describe("ProviderKeys", () => {
  for (const alg of algorithms) {
    it.effect(`signs ${alg} tokens that jose verifies with the published key`, () =>
      Effect.gen(function* () {
        const keys = yield* ProviderKeys.make({ alg, spareKeys: 0 })
        const token = yield* keys.sign({ sub: "somebody" })
        assert.strictEqual(yield* verify(keys, token), "somebody")
        assert.deepStrictEqual(decodeProtectedHeader(token), { typ: "JWT", kid: keys.current.kid, alg })
      }),
    )
  }

  it.effect("names keys by their thumbprint and publishes no private member", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make({ alg: "RS256", spareKeys: 0 })
      const [jwk] = published(keys).keys
      assert.strictEqual(yield* Effect.promise(() => calculateJwkThumbprint(jwk)), jwk.kid)
      assert.sameMembers(Object.keys(jwk), ["kty", "n", "e", "use", "alg", "kid"])
    }),
  )

  it.effect("adds, changes and leaves out members", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make({
        keys: [{ kid: "1", members: { alg: undefined, use: undefined, x5t: "abc" } }],
      })
      assert.sameMembers(Object.keys(published(keys).keys[0]), ["kty", "crv", "x", "y", "kid", "x5t"])
    }),
  )

  it.effect("keeps the old keys over a rotation, or forgets all of them", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make()
      const old = yield* keys.sign({ sub: "old" })
      yield* keys.rotate()
      assert.strictEqual(yield* verify(keys, yield* keys.sign({ sub: "new" })), "new")
      assert.strictEqual(yield* verify(keys, old), "old")
      yield* keys.rotate({ keepOld: false })
      assert.strictEqual(published(keys).keys.length, 1)
      assert.strictEqual(yield* verify(keys, old), "JWKSNoMatchingKey")
    }),
  )

  it.effect("publishes a key before it signs, and signs with one that is published no more", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make()
      const first = keys.current
      const { kid } = yield* keys.add()
      assert.strictEqual(keys.current, first)
      assert.strictEqual(yield* verify(keys, yield* keys.sign({ sub: "next" }, { kid })), "next")
      assert.isTrue(yield* keys.remove(kid))
      assert.isFalse(yield* keys.remove(kid))
      assert.strictEqual(yield* verify(keys, yield* keys.sign({}, { kid })), "JWKSNoMatchingKey")
    }),
  )

  it.effect("rotates to another key of the same kid", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make({ keys: [{ kid: "1" }] })
      const old = yield* keys.sign({ sub: "old" })
      yield* keys.rotate({ kid: "1", keepOld: false })
      assert.strictEqual(yield* verify(keys, old), "JWSSignatureVerificationFailed")
      assert.strictEqual(yield* verify(keys, yield* keys.sign({ sub: "new" })), "new")
    }),
  )

  it.effect("forges headers, and refuses to sign with a key it never had", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make()
      const forged = yield* keys.sign({}, { header: { kid: "nobody's" } })
      assert.strictEqual(decodeProtectedHeader(forged).kid, "nobody's")
      const unnamed = yield* keys.sign({}, { header: { kid: undefined } })
      assert.notProperty(decodeProtectedHeader(unnamed), "kid")
      const exit = yield* Effect.exit(keys.sign({}, { kid: "nobody's" }))
      assert.include(String(exit), "never had a key")
    }),
  )

  it.effect("signs with an RSA key under another of its algorithms", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make({ alg: "RS256", spareKeys: 0, keys: [{ members: { alg: undefined } }] })
      const token = yield* keys.sign({ sub: "somebody" }, { alg: "PS512" })
      assert.strictEqual(decodeProtectedHeader(token).alg, "PS512")
      assert.strictEqual(yield* verify(keys, token), "somebody")
    }),
  )

  it.effect("publishes lies to the byte, until the keys change", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make()
      yield* keys.publishRaw("<html>")
      assert.strictEqual(new TextDecoder().decode(keys.document.bytes), "<html>")
      yield* keys.publishRaw(Uint8Array.of(0xef, 0xbb, 0xbf))
      assert.deepStrictEqual([...keys.document.bytes], [0xef, 0xbb, 0xbf])
      yield* keys.publishRaw({ keys: [] })
      assert.deepStrictEqual(published(keys), { keys: [] })
      yield* keys.publish([{ kty: "unheard-of" }])
      assert.deepStrictEqual(published(keys), { keys: [keys.current.publicJwk, { kty: "unheard-of" }] })
    }),
  )

  it.effect("tags the same bytes alike and dates every change a second later at least", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_500)
      const keys = yield* ProviderKeys.make()
      const before = keys.document
      const { kid } = yield* keys.add()
      const between = keys.document
      yield* keys.remove(kid)
      assert.strictEqual(keys.document.etag, before.etag)
      assert.notStrictEqual(between.etag, before.etag)
      assert.deepStrictEqual(
        [before, between, keys.document].map(({ lastModified }) => lastModified),
        [1_000_000, 1_001_000, 1_002_000],
      )
    }),
  )

  it.effect("rotates without waiting while there are spare keys", () =>
    Effect.gen(function* () {
      const keys = yield* ProviderKeys.make({ alg: "RS256", spareKeys: 2 })
      const kids = [keys.current.kid, Effect.runSync(keys.rotate()).kid, Effect.runSync(keys.add()).kid]
      assert.strictEqual(new Set(kids).size, 3)
      assert.strictEqual(published(keys).keys.length, 3)
      assert.throws(() => Effect.runSync(keys.rotate()))
    }),
  )

  it.effect("uses RSA pairs again once the scope that had them is closed, never in two scopes at once", () =>
    Effect.gen(function* () {
      const thumbprint = Effect.map(
        ProviderKeys.make({ alg: "RS256", spareKeys: 0 }),
        (keys) => keys.current.thumbprint,
      )
      const first = yield* Effect.scoped(thumbprint)
      const second = yield* thumbprint
      const third = yield* thumbprint
      assert.strictEqual(second, first)
      assert.notStrictEqual(third, second)
    }),
  )
})

describe("staticKeys", () => {
  it.effect("gives distinct keys that Web Crypto imports", () =>
    Effect.gen(function* () {
      const keys = staticKeys(500)
      assert.strictEqual(new Set(keys.map(({ x }) => x)).size, 500)
      yield* Effect.forEach(keys, (jwk) => Effect.promise(() => importJWK(jwk)))
    }),
  )

  it("gives the same keys in every run, and others from another number on", () => {
    const [, second] = staticKeys(2)
    const [other] = staticKeys(1, { from: 2, kidPrefix: "acme-" })
    // Twice the base point of P-256: 7cf27b18...
    assert.strictEqual(second?.x, "fPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI_EdmmXg")
    assert.deepStrictEqual(other, { ...second, kid: "acme-2" })
    assert.throws(() => staticKeys(1, { from: 0 }), RangeError)
  })

  it.effect("has private keys that everybody knows: the numbers", () =>
    Effect.gen(function* () {
      const [, , third] = staticKeys(3)
      const d = Buffer.from("3".padStart(64, "0"), "hex").toString("base64url")
      yield* Effect.promise(() => importJWK({ ...third, d }, "ES256"))
    }),
  )
})
