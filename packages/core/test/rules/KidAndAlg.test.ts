/**
 * Which key answers: `kid`, `alg`, `use`, `key_ops`, and keys that share a kid.
 */
import { assert, describe, it } from "@effect/vitest"
import type { JwsAlgorithm, ResolveKeyOptions } from "@effect-jwks/core"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import { answerAtOnce, errorAtOnce, setUp } from "./support.ts"

/** RFC 7638 section 3.1. */
const rsa = {
  kty: "RSA",
  n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
  e: "AQAB",
}
/** RFC 8037 appendix A.2. */
const ed25519 = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }
/** RFC 8032 section 7.4, the first key. */
const ed448 = {
  kty: "OKP",
  crv: "Ed448",
  x: "X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA",
}
const p384 = {
  kty: "EC",
  crv: "P-384",
  x: "AFnlvX_qPytkH9V8Gl8ETx05aT1vaBeyns210B9vYpcZWGEnAXuHxSzt0Ah7vfXG",
  y: "CY2Plx4ngSpRegMAjDeXH-YndqOIB10LpkSsOU9WJ5tWQpzIxMX0uxYEc7XXs9Lb",
}
/** Bare keys of P-256, without kid, alg and use. */
const [p256, other, third] = staticKeys(3).map(({ crv, kty, x, y }) => ({ crv, kty, x, y }))

const publish = (
  keys: ReadonlyArray<unknown>,
  registration: { readonly algorithms?: ReadonlyArray<JwsAlgorithm> } = {},
) =>
  Effect.map(setUp({ before: (idp) => idp.keys.publishRaw({ keys }), registration }), ({ idp, registry }) => ({
    idp,
    find: (kid: string | undefined, how: ResolveKeyOptions = {}) =>
      registry.resolveKey("acme", kid, { provider: "idp", ...how }),
  }))

const kinds = {
  "RSA without alg": { key: rsa, fits: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] },
  "RSA with alg RS256": { key: { ...rsa, alg: "RS256" }, fits: ["RS256"] },
  "RSA with alg PS384": { key: { ...rsa, alg: "PS384" }, fits: ["PS384"] },
  "P-256 without alg": { key: p256, fits: ["ES256"] },
  "P-256 with alg ES256": { key: { ...p256, alg: "ES256" }, fits: ["ES256"] },
  "P-384 without alg": { key: p384, fits: ["ES384"] },
  "Ed25519 without alg": { key: ed25519, fits: ["EdDSA", "Ed25519"] },
  "Ed25519 with alg EdDSA": { key: { ...ed25519, alg: "EdDSA" }, fits: ["EdDSA", "Ed25519"] },
  "Ed25519 with alg Ed25519": { key: { ...ed25519, alg: "Ed25519" }, fits: ["EdDSA", "Ed25519"] },
  "Ed448 without alg": { key: ed448, fits: ["EdDSA", "Ed448"] },
} as const

const everyAlg = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"],
  ...["HS256", "none", "RSA-OAEP", "rs256", "", "constructor"],
]

describe("alg must fit the key: its own alg, or its kty and crv where it names none", () => {
  for (const [name, { fits, key }] of Object.entries(kinds)) {
    it.effect(`${name} fits ${fits.join(", ")}, and nothing else`, () =>
      Effect.gen(function* () {
        const { find, idp } = yield* publish([{ ...key, kid: "1" }])
        yield* find("1")
        const fitting: Array<string> = []
        for (const alg of everyAlg) {
          const found = yield* Effect.result(find("1", { alg }))
          if (found._tag === "Success") fitting.push(alg)
          else assert.deepInclude(found.failure, { _tag: "KeyNotFound", dropped: "AlgorithmMismatch" }, alg)
        }
        assert.sameMembers(fitting, [...fits])
        assert.strictEqual(idp.requests, 1)
      }),
    )
  }

  it.effect("alg must fit the provider's algorithms too", () =>
    Effect.gen(function* () {
      const { find } = yield* publish([{ ...rsa, kid: "1" }], { algorithms: ["RS256", "RS512"] })
      yield* find("1")
      yield* find("1", { alg: "RS512" })
      for (const alg of ["RS384", "PS256", "ES256"]) {
        assert.deepInclude(yield* errorAtOnce(find("1", { alg })), {
          _tag: "KeyNotFound",
          dropped: "AlgorithmMismatch",
        })
      }
    }),
  )

  it.effect("EdDSA and Ed25519 are the same in the provider's algorithms", () =>
    Effect.gen(function* () {
      for (const algorithm of ["EdDSA", "Ed25519"] as const) {
        const { find } = yield* publish([{ ...ed25519, kid: "1" }], { algorithms: [algorithm] })
        yield* find("1", { alg: "EdDSA" })
        yield* find("1", { alg: "Ed25519" })
      }
    }),
  )

  it.effect("a key none of whose algorithms the provider may use is never an answer, alg or not", () =>
    Effect.gen(function* () {
      const { find } = yield* publish(
        [
          { ...rsa, kid: "rsa" },
          { ...p256, kid: "ec" },
        ],
        { algorithms: ["RS256"] },
      )
      yield* find("rsa")
      assert.deepInclude(yield* errorAtOnce(find("ec")), { _tag: "KeyNotFound", dropped: "AlgorithmNotAllowed" })
      assert.deepInclude(yield* errorAtOnce(find("ec", { alg: "ES256" })), { _tag: "KeyNotFound" })
    }),
  )
})

describe("keys for anything but signatures are never answers", () => {
  it.effect.each([
    { use: "enc" },
    { use: "tls" },
    { use: "" },
    { use: "SIG" },
    { key_ops: ["sign"] },
    { key_ops: ["encrypt", "wrapKey"] },
    { use: "enc", alg: "ES256" },
    { use: "enc", key_ops: ["verify"] },
    { use: "sig", key_ops: ["deriveKey"] },
  ])("%j is dropped", (members) =>
    Effect.gen(function* () {
      const { find } = yield* publish([
        { ...p256, kid: "1", ...members },
        { ...other, kid: "2" },
      ])
      yield* find("2")
      assert.deepInclude(yield* errorAtOnce(find("1")), { _tag: "KeyNotFound", dropped: "NotForSignatures" })
    }),
  )

  it.effect.each([
    {},
    { use: "sig" },
    { key_ops: [] },
    { key_ops: ["verify"] },
    { key_ops: ["sign", "verify"] },
    { use: "sig", key_ops: [] },
    { oth: [] },
  ])("%j is an answer", (members) =>
    Effect.gen(function* () {
      const { find } = yield* publish([{ ...p256, kid: "1", ...members }])
      yield* find("1")
    }),
  )

  it.effect("one kid for a signature key and an encryption key answers with the signature key", () =>
    Effect.gen(function* () {
      const { find } = yield* publish([
        { ...p256, kid: "1", use: "enc" },
        { ...other, kid: "1", use: "sig" },
      ])
      assert.strictEqual((yield* find("1")).jwk.x, other?.x)
    }),
  )
})

describe("keys that share a kid", () => {
  it.effect("the same key twice is one key", () =>
    Effect.gen(function* () {
      const { find } = yield* publish([
        { ...p256, kid: "1" },
        { ...p256, kid: "1", use: "sig", x5t: "other" },
      ])
      assert.strictEqual((yield* find("1")).jwk.x, p256?.x)
    }),
  )

  it.effect("different keys are told apart by alg", () =>
    Effect.gen(function* () {
      const { find } = yield* publish([
        { ...rsa, kid: "1", alg: "RS256" },
        { ...p256, kid: "1", alg: "ES256" },
      ])
      assert.strictEqual((yield* find("1", { alg: "ES256" })).jwk.kty, "EC")
      assert.strictEqual((yield* find("1", { alg: "RS256" })).jwk.kty, "RSA")
    }),
  )

  it.effect("different keys are told apart by kty and crv, where they name no alg", () =>
    Effect.gen(function* () {
      const { find } = yield* publish([
        { ...rsa, kid: "1" },
        { ...p256, kid: "1" },
        { ...p384, kid: "1" },
      ])
      assert.strictEqual((yield* find("1", { alg: "ES384" })).jwk.crv, "P-384")
      assert.strictEqual((yield* find("1", { alg: "PS512" })).jwk.kty, "RSA")
    }),
  )

  it.effect("else they are ambiguous, without a flight", () =>
    Effect.gen(function* () {
      const { find, idp } = yield* publish([
        { ...rsa, kid: "1" },
        { ...p256, kid: "1" },
        { ...other, kid: "1" },
      ])
      const all = yield* Effect.flip(find("1"))
      assert.deepInclude(all, { _tag: "KeyAmbiguous", tenant: "acme", provider: "idp", kid: "1" })
      if (all._tag === "KeyAmbiguous") assert.lengthOf(all.thumbprints, 3)
      const two = yield* errorAtOnce(find("1", { alg: "ES256" }))
      if (two._tag === "KeyAmbiguous") assert.lengthOf(two.thumbprints, 2)
      else assert.fail(two._tag)
      yield* answerAtOnce(find("1", { alg: "RS256" }))
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("kids are compared as they are: case, spaces, slashes, dots and letters beyond ASCII count", () =>
    Effect.gen(function* () {
      const kids = ["a", "A", " a", "a/../b", "..", "+/=:", "é", "e\u0301", "__proto__", "constructor", "1"]
      const keys = staticKeys(kids.length)
      const { find } = yield* publish(keys.map((key, i) => ({ ...key, kid: kids[i] })))
      for (const [i, kid] of kids.entries()) assert.strictEqual((yield* find(kid)).jwk.x, keys[i]?.x, kid)
      for (const kid of ["b", "toString", "", "a ", "01"]) {
        assert.deepInclude(yield* errorAtOnce(find(kid)), { _tag: "KeyNotFound", kid })
      }
    }),
  )
})

describe("kid undefined, for tokens without one: exactly one key must fit", () => {
  it.effect("answers with the only key, whether it has a kid or not", () =>
    Effect.gen(function* () {
      for (const key of [{ ...p256, kid: "1" }, p256]) {
        const { find } = yield* publish([key])
        const found = yield* find(undefined)
        assert.strictEqual(found.jwk.x, p256?.x)
        assert.strictEqual(found.kid, "kid" in (key ?? {}) ? "1" : undefined)
      }
    }),
  )

  it.effect("is ambiguous where several fit", () =>
    Effect.gen(function* () {
      const { find, idp } = yield* publish([{ ...p256, kid: "1" }, other, { ...third, kid: "3" }])
      const error = yield* Effect.flip(find(undefined))
      if (error._tag === "KeyAmbiguous") assert.lengthOf(error.thumbprints, 3)
      else assert.fail(error._tag)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("takes the one that fits the alg", () =>
    Effect.gen(function* () {
      const { find } = yield* publish([
        { ...p256, kid: "1" },
        { ...rsa, kid: "2" },
        { ...ed25519, kid: "3", use: "enc" },
      ])
      assert.strictEqual((yield* find(undefined, { alg: "PS256" })).kid, "2")
      assert.strictEqual((yield* find(undefined, { alg: "ES256" })).kid, "1")
    }),
  )

  it.effect("finds nothing where none fits", () =>
    Effect.gen(function* () {
      const { find } = yield* publish([{ ...p256, kid: "1" }])
      assert.deepInclude(yield* Effect.flip(find(undefined, { alg: "RS256" })), { _tag: "KeyNotFound" })
    }),
  )

  it.effect("looks through several providers, and stays unsure where two have one each", () =>
    Effect.gen(function* () {
      const { idp, registry } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: [p256] }) })
      yield* registry.resolve("acme", "idp")
      assert.strictEqual((yield* registry.resolveKey("acme", undefined)).jwk.x, p256?.x)
      yield* idp.keys.publishRaw({ keys: [other] })
      yield* registry.register({ tenant: "acme", provider: "second", jwksUrl: `${idp.jwksUrl}?second` })
      yield* registry.resolve("acme", "second")
      assert.deepInclude(yield* errorAtOnce(registry.resolveKey("acme", undefined)), { _tag: "KeyAmbiguous" })
    }),
  )
})
