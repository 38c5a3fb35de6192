/**
 * From a token to an identity: what is accepted, what each tampering is refused with, and how callers say what they
 * expect.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry } from "@effect-jwks/core"
import {
  type JwtInvalidReason,
  JwtVerifier,
  JwtVerifierLive,
  type JwtVerifierOptions,
  type VerifyOptions,
} from "@effect-jwks/jwt"
import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as TestClock from "effect/testing/TestClock"
import { encodePart, forge, pairFor } from "./forge.ts"
import { after, reasonOf, setUp, signerOf, start, startSeconds } from "./support.ts"

describe("verify", () => {
  it.effect("gives the identity, and where it comes from", () =>
    Effect.gen(function* () {
      const { claims, forge, header, idp, verify } = yield* setUp()
      const all = { ...claims, sub: "ada", aud: "orders" }
      assert.deepStrictEqual(yield* verify(yield* forge({ ...header, typ: "JWT" }, all), { audience: "orders" }), {
        tenant: "acme",
        provider: "idp",
        issuer: idp.issuer,
        header: { ...header, typ: "JWT" },
        claims: all,
        payload: all,
        thumbprint: idp.keys.current.thumbprint,
        freshness: "fresh",
      })
    }),
  )

  it.effect("is a static accessor, too, with default options", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make({ keys: { spareKeys: 0 } })
      const layer = JwtVerifierLive.pipe(
        Layer.provideMerge(TestRegistry.layerNoClient()),
        Layer.provide(ScriptedProvider.layerClient(idp)),
      )
      const { issuer, jwksUrl } = idp
      const program = Effect.gen(function* () {
        yield* JwksRegistry.register({ tenant: "acme", provider: "idp", issuer, jwksUrl })
        return yield* JwtVerifier.verify("acme", yield* idp.token({ sub: "ada" }))
      })
      assert.strictEqual((yield* Effect.provide(program, layer)).claims.sub, "ada")
    }),
  )

  it.effect("judges a token when it is run, not when it is made", () =>
    Effect.gen(function* () {
      const { idp, reason } = yield* setUp()
      const judged = reason(yield* idp.token({ exp: startSeconds + 60 }))
      yield* after(60)
      assert.strictEqual((yield* judged)._tag, "Expired")
    }),
  )

  it.effect("judges times by the clock of whoever asks", () =>
    Effect.gen(function* () {
      const { idp, verify } = yield* setUp()
      const token = yield* idp.token({ exp: startSeconds + 60 })
      yield* verify(token)
      const reason = yield* reasonOf(TestClock.withLive(verify(token)))
      assert.deepStrictEqual(reason, { _tag: "Expired", expiredAt: start + 60_000 })
    }),
  )

  it.effect("verifies the same token any number of times", () =>
    Effect.gen(function* () {
      const { idp, verify } = yield* setUp()
      const token = yield* idp.token({ sub: "ada" })
      const all = yield* Effect.all(
        Array.from({ length: 50 }, () => verify(token)),
        { concurrency: "unbounded" },
      )
      for (const { claims } of all) assert.strictEqual(claims.sub, "ada")
    }),
  )

  it.effect("gives each caller claims of his own", () =>
    Effect.gen(function* () {
      const { claims, forge, header, verify } = yield* setUp()
      const token = yield* forge(header, { ...claims, roles: ["reader"] })
      const { roles } = (yield* verify(token)).claims
      if (Array.isArray(roles)) roles.push("admin")
      assert.deepStrictEqual((yield* verify(token)).claims["roles"], ["reader"])
    }),
  )
})

/** What an attacker changes, and why the token is refused then. */
const tamperings: ReadonlyArray<
  readonly [
    what: string,
    change: (part: {
      readonly header: Record<string, unknown>
      readonly payload: Record<string, unknown>
      readonly signature: string
    }) => { readonly header?: object; readonly payload?: object; readonly signature?: string },
    reason: JwtInvalidReason,
  ]
> = [
  ["a parameter in the header", ({ header }) => ({ header: { ...header, x: 1 } }), { _tag: "Signature" }],
  ["a claim", ({ payload }) => ({ payload: { ...payload, sub: "eve" } }), { _tag: "Signature" }],
  [
    "the first character of the signature",
    ({ signature }) => ({ signature: (signature.startsWith("A") ? "B" : "A") + signature.slice(1) }),
    { _tag: "Signature" },
  ],
  ["the signature, by a half", ({ signature }) => ({ signature: signature.slice(0, 40) }), { _tag: "Signature" }],
  [
    "alg, to another of the provider's",
    ({ header }) => ({ header: { ...header, alg: "RS256" } }),
    { _tag: "Algorithm", alg: "RS256", rule: "it does not fit the key with this kid" },
  ],
  [
    "alg, to none",
    ({ header }) => ({ header: { ...header, alg: "none" } }),
    { _tag: "Algorithm", alg: "none", rule: "an unsecured token proves nothing (RFC 8725 section 3.2)" },
  ],
  [
    "iss, to another",
    ({ payload }) => ({ payload: { ...payload, iss: "https://evil.test" } }),
    { _tag: "Issuer", rule: "no provider of the tenant vouches for it" },
  ],
  [
    "aud, to another",
    ({ payload }) => ({ payload: { ...payload, aud: "billing" } }),
    { _tag: "Audience", expected: ["orders"] },
  ],
  ["exp, to later", ({ payload }) => ({ payload: { ...payload, exp: startSeconds + 9_999 } }), { _tag: "Signature" }],
  [
    "exp, to earlier",
    ({ payload }) => ({ payload: { ...payload, exp: startSeconds } }),
    { _tag: "Expired", expiredAt: start },
  ],
  [
    "nbf, to later",
    ({ payload }) => ({ payload: { ...payload, nbf: startSeconds + 1 } }),
    { _tag: "NotYetValid", claim: "nbf", validAt: start + 1_000 },
  ],
]

describe("each tampering gives its reason", () => {
  for (const [what, change, expected] of tamperings) {
    it.effect(`${what}: ${expected._tag}`, () =>
      Effect.gen(function* () {
        const { claims, forge, header, reason, verify } = yield* setUp()
        const payload = { ...claims, sub: "ada", aud: "orders" }
        const token = yield* forge(header, payload)
        const options = { audience: "orders" }
        yield* verify(token, options)
        const signature = token.slice(token.lastIndexOf(".") + 1)
        const changed = { header, payload, signature, ...change({ header, payload, signature }) }
        const text = [encodePart({ ...changed.header }), encodePart({ ...changed.payload }), changed.signature].join(
          ".",
        )
        assert.deepStrictEqual(yield* reason(text, options), expected)
      }),
    )
  }

  it.effect("kid, to another key of the provider's: Signature", () =>
    Effect.gen(function* () {
      const { claims, idp, reason } = yield* setUp({ provider: { keys: { keys: [{ kid: "1" }, { kid: "2" }] } } })
      const token = yield* forge(signerOf(idp), { alg: "ES256", kid: "2" }, claims)
      assert.deepStrictEqual(yield* reason(token), { _tag: "Signature" })
    }),
  )

  it.effect("kid, to one that nobody has: KeyNotFound", () =>
    Effect.gen(function* () {
      const { claims, error, forge, header } = yield* setUp()
      assert.deepInclude(yield* error(yield* forge({ ...header, kid: "other" }, claims)), {
        _tag: "KeyNotFound",
        kid: "other",
        confirmed: true,
      })
    }),
  )

  it.effect(
    "the key, to one that the token brings along in jwk, x5c, jku and x5u: Signature, and nobody fetches it",
    () =>
      Effect.gen(function* () {
        const { claims, header, idp, reason } = yield* setUp()
        const { privateJwk, publicJwk } = yield* pairFor("ES256")
        const evil = {
          jwk: publicJwk,
          x5c: ["MIIB"],
          jku: "https://evil.test/jwks",
          x5u: "https://evil.test/x5u",
        }
        const token = yield* forge({ scheme: "ES256", privateJwk }, { ...header, ...evil }, claims)
        assert.deepStrictEqual(yield* reason(token), { _tag: "Signature" })
        for (const { url } of idp.log) assert.strictEqual(url, idp.jwksUrl)
      }),
  )

  it.effect("the signature, to that of another token of the same key: Signature", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason } = yield* setUp()
      const [ada, eve] = [
        yield* forge(header, { ...claims, sub: "ada" }),
        yield* forge(header, { ...claims, sub: "eve" }),
      ]
      const mixed = ada.slice(0, ada.lastIndexOf(".")) + eve.slice(eve.lastIndexOf("."))
      assert.deepStrictEqual(yield* reason(mixed), { _tag: "Signature" })
    }),
  )

  it.effect("the signature, to its DER form: Signature", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason } = yield* setUp()
      const token = yield* forge(header, claims)
      const cut = token.lastIndexOf(".") + 1
      const bytes = Buffer.from(token.slice(cut), "base64url")
      const integer = (half: Uint8Array) => {
        const first = half.findIndex((byte) => byte !== 0)
        const digits = half.subarray(first)
        const body = (digits[0] ?? 0) > 127 ? [0, ...digits] : [...digits]
        return [2, body.length, ...body]
      }
      const body = [...integer(bytes.subarray(0, 32)), ...integer(bytes.subarray(32))]
      const der = Buffer.from([0x30, body.length, ...body]).toString("base64url")
      assert.deepStrictEqual(yield* reason(token.slice(0, cut) + der), { _tag: "Signature" })
    }),
  )
})

describe("algorithms", () => {
  it.effect("that the provider does not use are refused before a look-up", () =>
    Effect.gen(function* () {
      const { idp, reason } = yield* setUp({ registration: { algorithms: ["RS256"], warm: false } })
      assert.deepStrictEqual(yield* reason(yield* idp.token()), {
        _tag: "Algorithm",
        alg: "ES256",
        rule: "the provider does not use it",
      })
      assert.strictEqual(idp.requests, 0)
    }),
  )

  it.effect("that the caller does not expect are refused before a look-up", () =>
    Effect.gen(function* () {
      const { idp, reason } = yield* setUp({ registration: { warm: false } })
      assert.deepStrictEqual(yield* reason(yield* idp.token(), { algorithms: ["RS256", "PS256"] }), {
        _tag: "Algorithm",
        alg: "ES256",
        rule: "it is not expected here",
      })
      assert.strictEqual(idp.requests, 0)
    }),
  )

  it.effect("of an Edwards curve have two names, wherever they are given", () =>
    Effect.gen(function* () {
      for (const algorithm of ["EdDSA", "Ed25519"] as const) {
        const { claims, idp, verify } = yield* setUp({
          provider: { keys: { keys: [{ alg: "EdDSA" }] } },
          registration: { algorithms: [algorithm] },
        })
        for (const alg of ["EdDSA", "Ed25519"]) {
          const token = yield* forge(signerOf(idp), { alg, kid: idp.keys.current.kid }, claims)
          assert.strictEqual((yield* verify(token, { algorithms: [algorithm] })).header.alg, alg)
        }
      }
    }),
  )
})

const Claims = Schema.Struct({
  sub: Schema.String,
  age: Schema.FiniteFromString,
  address: Schema.optionalKey(Schema.Struct({ country: Schema.Literals(["NO", "SE"]) })),
})

describe("the caller's schema", () => {
  it.effect("makes the claims what it decodes, and leaves the payload as it was signed", () =>
    Effect.gen(function* () {
      const { claims, forge, header, verifyAs } = yield* setUp()
      const token = yield* forge(header, { ...claims, sub: "ada", age: "36", address: { country: "NO" } })
      const verified = yield* verifyAs("acme", token, { claims: Claims })
      assert.deepStrictEqual(verified.claims, { sub: "ada", age: 36, address: { country: "NO" } })
      assert.strictEqual(verified.payload["age"], "36")
    }),
  )

  it.effect("names every claim that it does not take, and shows none of them", () =>
    Effect.gen(function* () {
      const { claims, forge, header, verifyAs } = yield* setUp()
      const token = yield* forge(header, { ...claims, age: "secret-1", address: { country: "secret-2" } })
      const refused = verifyAs("acme", token, { claims: Claims })
      const reason = yield* reasonOf(refused)
      if (reason._tag !== "Claims") return assert.fail(reason._tag)
      assert.sameMembers(
        reason.issues.map(({ claim }) => claim),
        ["sub", "age", "address.country"],
      )
      assert.isTrue(SchemaIssue.isIssue(reason.issue))
      assert.deepInclude(yield* Effect.flip(refused), { tenant: "acme", provider: "idp" })
      return assert.notInclude((yield* Effect.flip(refused)).message, "secret")
    }),
  )

  it.effect("is asked last: a wrong signature is a wrong signature", () =>
    Effect.gen(function* () {
      const { claims, header, verifyAs } = yield* setUp()
      const { privateJwk } = yield* pairFor("ES256")
      const token = yield* forge({ scheme: "ES256", privateJwk }, header, { ...claims, age: "x" })
      assert.deepStrictEqual(yield* reasonOf(verifyAs("acme", token, { claims: Claims })), { _tag: "Signature" })
    }),
  )
})

/** Options that make no sense, and the field that is named. */
const wrongOptions: ReadonlyArray<readonly [options: Readonly<Record<string, unknown>>, field: string]> = [
  [{ audience: "" }, "audience"],
  [{ audience: 1 }, "audience"],
  [{ audience: ["a", ""] }, "audience[1]"],
  [{ audience: [1] }, "audience[0]"],
  [{ typ: "" }, "typ"],
  [{ typ: "application/" }, "typ"],
  [{ typ: 1 }, "typ"],
  [{ profile: "jwt" }, "profile"],
  [{ algorithms: [] }, "algorithms"],
  [{ algorithms: ["HS256"] }, "algorithms[0]"],
  [{ algorithms: ["ES256", "none"] }, "algorithms[1]"],
  [{ algorithms: "ES256" }, "algorithms"],
  [{ clockTolerance: "11 minutes" }, "clockTolerance"],
  [{ clockTolerance: -1 }, "clockTolerance"],
  [{ clockTolerance: "a while" }, "clockTolerance"],
  [{ clockTolerance: Number.NaN }, "clockTolerance"],
  [{ maxAge: 0 }, "maxAge"],
  [{ maxAge: Number.POSITIVE_INFINITY }, "maxAge"],
  [{ requireExp: "no" }, "requireExp"],
  [{ requiredClaims: "sub" }, "requiredClaims"],
  [{ requiredClaims: [""] }, "requiredClaims[0]"],
  [{ allowStale: 0 }, "allowStale"],
  [{ algoritms: ["ES256"] }, "algoritms"],
  [{ clockTolerence: 1 }, "clockTolerence"],
]

const wrongLayerOptions: ReadonlyArray<readonly [options: Readonly<Record<string, unknown>>, field: string]> = [
  ...wrongOptions,
  [{ maxTokenLength: 255 }, "maxTokenLength"],
  [{ maxTokenLength: 1_048_577 }, "maxTokenLength"],
  [{ maxTokenLength: 1_000.5 }, "maxTokenLength"],
  [{ issuer: "https://idp.test" }, "issuer"],
]

/** What callers without types may write. */
const untyped = (options: unknown) => options as VerifyOptions & JwtVerifierOptions

describe("options that make no sense", () => {
  for (const [options, field] of wrongOptions) {
    it.effect(`of a verification are a defect that names ${field}: ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const { idp, verify } = yield* setUp()
        const exit = yield* Effect.exit(verify(yield* idp.token(), untyped(options)))
        if (Exit.isSuccess(exit)) return assert.fail("the token was accepted")
        assert.isTrue(Cause.hasDies(exit.cause))
        return assert.nestedPropertyVal(Cause.squash(exit.cause), "issues[0].field", field)
      }),
    )
  }

  for (const [options, field] of wrongLayerOptions) {
    it.effect(`fail the layer, which names ${field}: ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const layer = JwtVerifier.layer(untyped(options)).pipe(
          Layer.provide(TestRegistry.layerNoClient()),
          Layer.provide(ScriptedProvider.layerClient()),
        )
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.strictEqual(error._tag, "InvalidRegistration")
        assert.strictEqual(error.issues[0]?.field, field)
      }),
    )
  }
})

describe("defaults of the layer", () => {
  it.effect("hold for every verification, and its own options come before them", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp({
        verifier: { audience: "orders", clockTolerance: "1 minute", requiredClaims: ["scope"] },
      })
      const token = yield* forge(header, { ...claims, aud: "orders", scope: "read" })
      yield* verify(token)
      assert.deepStrictEqual(yield* reason(token, { audience: "billing" }), {
        _tag: "Audience",
        expected: ["billing"],
      })
      yield* verify(yield* forge(header, { ...claims, scope: "read" }), { audience: null })
      assert.deepStrictEqual(yield* reason(yield* forge(header, { ...claims, aud: "orders" })), {
        _tag: "Claims",
        issues: [{ claim: "scope", rule: "is missing" }],
      })
      yield* after(3_600 + 59)
      yield* verify(token)
      assert.strictEqual((yield* reason(token, { clockTolerance: 0 }))._tag, "Expired")
    }),
  )

  it.effect("hold as they were when the layer was built, whatever becomes of their lists", () =>
    Effect.gen(function* () {
      const audience = ["orders"]
      const { claims, forge, header, reason } = yield* setUp({ verifier: { audience } })
      audience[0] = "billing"
      const token = yield* forge(header, { ...claims, aud: "billing" })
      assert.deepStrictEqual(yield* reason(token), { _tag: "Audience", expected: ["orders"] })
    }),
  )

  it.effect("hold for options that are given as undefined", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason } = yield* setUp({ verifier: { audience: "orders" } })
      const token = yield* forge(header, { ...claims, aud: "billing" })
      assert.strictEqual((yield* reason(token, untyped({ audience: undefined })))._tag, "Audience")
    }),
  )

  it.effect("an options object that its caller changes is read as it is then", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      const token = yield* forge(header, { ...claims, aud: "orders" })
      const audience = ["orders"]
      const options = { audience }
      yield* verify(token, options)
      audience[0] = "billing"
      assert.deepStrictEqual(yield* reason(token, options), { _tag: "Audience", expected: ["billing"] })
    }),
  )

  it.effect("more policies than are remembered, one after the other, are each kept to", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 20; i++) {
          const token = yield* forge(header, { ...claims, aud: `app-${i}` })
          yield* verify(token, { audience: `app-${i}` })
          assert.strictEqual((yield* reason(token, { audience: `app-${i + 1}` }))._tag, "Audience")
        }
      }
    }),
  )
})
