/**
 * What errors say: 401 or 503, when to ask again, and nothing that was not theirs to tell.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksUnavailable, KeyAmbiguous, KeyNotFound, NotRegistered } from "@effect-jwks/core"
import {
  describeJwtReason,
  isOutage,
  JwtInvalid,
  type JwtInvalidReason,
  retryAfterMillis,
  type VerifyError,
  type VerifyOptions,
} from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Part } from "./forge.ts"
import { aMinuteLater, setUp, start, startSeconds } from "./support.ts"

const of = { tenant: "acme", provider: "idp" }

const reasons: ReadonlyArray<readonly [reason: JwtInvalidReason, message: string]> = [
  [{ _tag: "Malformed", rule: "it is no text" }, "not a JWT that is understood here: it is no text"],
  [{ _tag: "Algorithm", alg: "none", rule: "no" }, 'algorithm "none" is refused: no'],
  [{ _tag: "Signature" }, "the signature does not match"],
  [{ _tag: "Expired", expiredAt: start }, "expired at 2026-11-20T00:00:00.000Z"],
  [{ _tag: "NotYetValid", claim: "nbf", validAt: start }, "not valid before 2026-11-20T00:00:00.000Z (nbf)"],
  [
    { _tag: "TooOld", issuedAt: start, maxAgeMillis: 60_000 },
    "issued at 2026-11-20T00:00:00.000Z, longer ago than 60 s",
  ],
  [
    { _tag: "Audience", expected: [] },
    "it names an audience, and none is expected: name yours with the option audience",
  ],
  [{ _tag: "Audience", expected: ["a", "b"] }, 'it is for another audience than "a", "b"'],
  [{ _tag: "Issuer", rule: "it names none" }, "its issuer is refused: it names none"],
  [{ _tag: "Type", rule: "typ has to be at+jwt" }, "it is of another type: typ has to be at+jwt"],
  [
    {
      _tag: "Claims",
      issues: [
        { claim: "sub", rule: "is missing" },
        { claim: "", rule: "are wrong" },
      ],
    },
    "its claims are refused: sub: is missing; are wrong",
  ],
]

/** Every error of the union: whether it is 503, and when to ask again. */
const errors: ReadonlyArray<readonly [error: VerifyError, outage: boolean, retryAfter: number | undefined]> = [
  ...reasons.map(([reason]) => [new JwtInvalid({ ...of, reason }), false, undefined] as const),
  [new KeyNotFound({ ...of, kid: "1", confirmed: true }), false, undefined],
  [new KeyNotFound({ ...of, kid: "1", confirmed: true, dropped: "AlgorithmMismatch" }), false, undefined],
  [new KeyNotFound({ ...of, kid: "1", confirmed: false }), true, undefined],
  [new KeyNotFound({ ...of, kid: "1", confirmed: false, retryAfterMillis: 30_000 }), true, 30_000],
  [new KeyAmbiguous({ ...of, kid: "1", thumbprints: ["a", "b"] }), false, undefined],
  [new JwksUnavailable({ ...of, reason: { _tag: "RegistryClosed" } }), true, undefined],
  [new JwksUnavailable({ ...of, reason: { _tag: "NoPermit", waitedMillis: 1 }, retryAfterMillis: 5 }), true, 5],
  [new NotRegistered(of), false, undefined],
]

describe("401 and 503 never get mixed up", () => {
  for (const [error, outage, retryAfter] of errors) {
    const name = error._tag === "JwtInvalid" ? `JwtInvalid ${error.reason._tag}` : `${error._tag}: ${error.message}`
    it(`${name} is ${outage ? "503" : "401"}${retryAfter === undefined ? "" : `, again in ${retryAfter} ms`}`, () => {
      assert.strictEqual(isOutage(error), outage)
      assert.strictEqual(retryAfterMillis(error), retryAfter)
    })
  }
})

describe("every reason has one readable sentence", () => {
  for (const [reason, message] of reasons) {
    it(`${reason._tag}: ${message}`, () => {
      assert.strictEqual(describeJwtReason(reason), message)
      assert.strictEqual(new JwtInvalid({ ...of, reason }).message, `token refused: ${message}`)
    })
  }
})

describe("an error goes through JSON", () => {
  const codec = Schema.toCodecJson(JwtInvalid)

  for (const [reason] of reasons) {
    it.effect(`JwtInvalid ${reason._tag}`, () =>
      Effect.gen(function* () {
        const json = JSON.stringify(yield* Schema.encodeEffect(codec)(new JwtInvalid({ ...of, reason })))
        const back = yield* Schema.decodeUnknownEffect(codec)(JSON.parse(json))
        assert.deepStrictEqual(back, new JwtInvalid({ ...of, reason }))
      }),
    )
  }

  it.effect("without a schema's issue, which holds the schema", () =>
    Effect.gen(function* () {
      const { idp, verifyAs } = yield* setUp()
      const claims = Schema.Struct({ email: Schema.String })
      const refused = yield* Effect.flip(verifyAs("acme", yield* idp.token({ email: 5 }), { claims }))
      if (refused._tag !== "JwtInvalid" || refused.reason._tag !== "Claims") return assert.fail(refused._tag)
      const { issue, ...told } = refused.reason
      assert.isDefined(issue)
      const back = yield* Schema.decodeUnknownEffect(codec)(yield* Schema.encodeEffect(codec)(refused))
      return assert.deepStrictEqual<unknown>(back.reason, told)
    }),
  )
})

/** Stands in for whatever nobody may read in a log. */
const secret = "s3cr3t"

/** Tokens with the secret everywhere, and what is wrong with each. */
const leaks: Readonly<
  Record<string, { readonly header?: Part; readonly payload?: Part; readonly options?: VerifyOptions }>
> = {
  "no JSON header": { header: secret },
  "no JSON claims": { payload: secret },
  "a wrong type of kid": { header: { alg: "ES256", kid: [secret] } },
  "a wrong type of typ": { header: { alg: "ES256", typ: [secret] } },
  "a crit": { header: { alg: "ES256", crit: [secret] } },
  "a wrong typ": { header: { alg: "ES256", typ: secret }, options: { typ: "at+jwt" } },
  "a wrong iss": { payload: { iss: `https://${secret}.test/?token=${secret}` } },
  "a wrong type of iss": { payload: { iss: [secret] } },
  "a wrong aud": { payload: { iss: "https://idp.test", exp: startSeconds + 9, aud: secret } },
  "another wrong aud": {
    payload: { iss: "https://idp.test", exp: startSeconds + 9, aud: [secret] },
    options: { audience: "orders" },
  },
  "a wrong type of exp": { payload: { iss: "https://idp.test", exp: secret } },
  "a wrong type of sub": { payload: { iss: "https://idp.test", exp: startSeconds + 9, sub: [secret] } },
  "an exp that has passed": { payload: { iss: "https://idp.test", exp: 1, sub: secret } },
  "a claim that is missing": { payload: { iss: "https://idp.test", [secret]: secret } },
}

/** What JSON says of an error, and what its message says. */
const told = (error: VerifyError): string => `${error.message} ${JSON.stringify(error)}`

describe("no error tells the token, a claim's value or a query string", () => {
  for (const [what, { header, options, payload }] of Object.entries(leaks)) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const { claims, error, forge, header: right } = yield* setUp()
        const token = yield* forge(header ?? right, payload ?? { ...claims, sub: secret })
        const said = told(yield* error(token, options))
        assert.notInclude(said, secret)
        for (const part of token.split(".")) assert.notInclude(said, part)
      }),
    )
  }

  it.effect("a wrong signature", () =>
    Effect.gen(function* () {
      const { claims, error, forge, header } = yield* setUp()
      const token = yield* forge(header, { ...claims, sub: secret })
      const spoiled = `${token.slice(0, -8)}AAAAAAAA`
      const said = told(yield* error(spoiled))
      assert.notInclude(said, secret)
      for (const part of spoiled.split(".")) assert.notInclude(said, part)
    }),
  )

  it.effect("claims that a schema of any kind does not take", () =>
    Effect.gen(function* () {
      const { claims, forge, header, verifyAs } = yield* setUp()
      const schemas: ReadonlyArray<Schema.Codec<unknown, unknown>> = [
        Schema.Struct({ sub: Schema.Number }),
        Schema.Struct({ sub: Schema.Literals(["ada"]) }),
        Schema.Struct({ sub: Schema.String.check(Schema.isPattern(/^a+$/)) }),
        Schema.Struct({ sub: Schema.String.check(Schema.isMaxLength(2)) }),
        Schema.Struct({ sub: Schema.FiniteFromString }),
        Schema.Struct({ sub: Schema.Union([Schema.Number, Schema.Struct({ id: Schema.String })]) }),
        Schema.Struct({ sub: Schema.URLFromString }),
        Schema.Struct({ sub: Schema.BigIntFromString }),
        Schema.Record(Schema.String, Schema.Number),
      ]
      const token = yield* forge(header, { ...claims, sub: secret })
      for (const schema of schemas) {
        const error = yield* Effect.flip(verifyAs("acme", token, { claims: schema }))
        assert.deepInclude(error, { _tag: "JwtInvalid" })
        assert.notInclude(told(error), secret)
      }
    }),
  )

  it.effect("the query of a provider that is down", () =>
    Effect.gen(function* () {
      const { error, idp } = yield* setUp({
        provider: { jwksUrl: `https://idp.test/jwks?key=${secret}` },
        before: (idp) => idp.faults.status(503),
      })
      const failure = yield* aMinuteLater(error(yield* idp.token()))
      assert.strictEqual(failure._tag, "JwksUnavailable")
      assert.notInclude(told(failure), secret)
    }),
  )
})

describe("what a token says of itself is quoted and cut", () => {
  const controls = "\u0000\u001b[31m\r\nSet-Cookie: a=b\u0085\u2028\u202e"
  for (const [what, alg] of [
    ["control characters", controls],
    ["ten thousand letters", "A".repeat(10_000)],
    ["lone surrogates", "\ud800x\udc00"],
  ] as const) {
    it.effect(`alg: ${what}`, () =>
      Effect.gen(function* () {
        const { claims, error, forge } = yield* setUp()
        const { message } = yield* error(yield* forge({ alg }, claims))
        assert.match(message, /^[\x20-\x7e…]*$/)
        assert.isBelow(message.length, 250)
      }),
    )
  }
})
