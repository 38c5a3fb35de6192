/**
 * What claims have to say, at the edge of every rule: `verify` over tokens whose signature is right.
 */
import { assert, describe, it } from "@effect/vitest"
import type { JwtInvalidReason, VerifyOptions } from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import { after, setUp, start, startSeconds } from "../support.ts"

const at = (seconds: number) => startSeconds + seconds
const ms = (seconds: number) => start + seconds * 1_000

/** A token with these claims, asked for with these options, so many seconds after it was signed. */
interface Moment {
  readonly when: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly options?: VerifyOptions
  readonly seconds: number
  /** Why it is refused; absent where it is accepted. */
  readonly refused?: JwtInvalidReason
}

const expired: JwtInvalidReason = { _tag: "Expired", expiredAt: ms(60) }
const early = (claim: "nbf" | "iat"): JwtInvalidReason => ({ _tag: "NotYetValid", claim, validAt: ms(60) })
const tooOld: JwtInvalidReason = { _tag: "TooOld", issuedAt: ms(0), maxAgeMillis: 60_000 }
const tolerant: VerifyOptions = { clockTolerance: "30 seconds" }

const moments: ReadonlyArray<Moment> = [
  { when: "a millisecond before exp", claims: { exp: at(60) }, seconds: 59.999 },
  { when: "at exp", claims: { exp: at(60) }, seconds: 60, refused: expired },
  { when: "a millisecond before exp and the tolerance", claims: { exp: at(60) }, options: tolerant, seconds: 89.999 },
  { when: "at exp and the tolerance", claims: { exp: at(60) }, options: tolerant, seconds: 90, refused: expired },
  { when: "before an exp of fractions", claims: { exp: at(60.5) }, seconds: 60.499 },
  {
    when: "at an exp of fractions",
    claims: { exp: at(60.5) },
    seconds: 60.5,
    refused: { _tag: "Expired", expiredAt: ms(60.5) },
  },
  { when: "long after an exp of 0", claims: { exp: 0 }, seconds: 0, refused: { _tag: "Expired", expiredAt: 0 } },
  {
    when: "long after a negative exp",
    claims: { exp: -1 },
    seconds: 0,
    refused: { _tag: "Expired", expiredAt: -1_000 },
  },
  { when: "a millisecond before nbf", claims: { nbf: at(60) }, seconds: 59.999, refused: early("nbf") },
  { when: "at nbf", claims: { nbf: at(60) }, seconds: 60 },
  {
    when: "a millisecond before nbf less the tolerance",
    claims: { nbf: at(60) },
    options: tolerant,
    seconds: 29.999,
    refused: early("nbf"),
  },
  { when: "at nbf less the tolerance", claims: { nbf: at(60) }, options: tolerant, seconds: 30 },
  { when: "before iat, where no age is asked for", claims: { iat: at(60) }, seconds: 0 },
  {
    when: "a millisecond before iat, where an age is asked for",
    claims: { iat: at(60) },
    options: { maxAge: "1 minute" },
    seconds: 59.999,
    refused: early("iat"),
  },
  { when: "at iat, where an age is asked for", claims: { iat: at(60) }, options: { maxAge: "1 minute" }, seconds: 60 },
  {
    when: "at iat less the tolerance",
    claims: { iat: at(60) },
    options: { maxAge: "1 minute", ...tolerant },
    seconds: 30,
  },
  {
    when: "a millisecond before iat less the tolerance",
    claims: { iat: at(60) },
    options: { maxAge: "1 minute", ...tolerant },
    seconds: 29.999,
    refused: early("iat"),
  },
  { when: "at the age that is allowed", claims: {}, options: { maxAge: "1 minute" }, seconds: 60 },
  {
    when: "a millisecond over the age that is allowed",
    claims: {},
    options: { maxAge: "1 minute" },
    seconds: 60.001,
    refused: tooOld,
  },
  { when: "at that age and the tolerance", claims: {}, options: { maxAge: "1 minute", ...tolerant }, seconds: 90 },
  {
    when: "a millisecond over that age and the tolerance",
    claims: {},
    options: { maxAge: "1 minute", ...tolerant },
    seconds: 90.001,
    refused: tooOld,
  },
  { when: "an hour after iat, where no age is asked for", claims: { exp: at(9_000) }, seconds: 3_600 },
]

/** A row: options and claims, and why they do not go together. */
interface Row {
  readonly row: string
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly options?: VerifyOptions
  readonly refused?: JwtInvalidReason
}

const audience = (...expected: ReadonlyArray<string>): JwtInvalidReason => ({ _tag: "Audience", expected })
const missing = (...claims: ReadonlyArray<string>): JwtInvalidReason => ({
  _tag: "Claims",
  issues: claims.map((claim) => ({ claim, rule: "is missing" })),
})
const wrong = (claim: string, rule: string): JwtInvalidReason => ({ _tag: "Claims", issues: [{ claim, rule }] })
const type = (rule: string): JwtInvalidReason => ({ _tag: "Type", rule })

const notAccess = type("typ has to be at+jwt")
const notId = type("an ID token has no typ but JWT")

const accessClaims = { aud: "orders", sub: "ada", client_id: "app", jti: "1" }
const idClaims = { aud: "app", sub: "ada" }

const rows: ReadonlyArray<Row> = [
  // aud (RFC 7519 section 4.1.3)
  { row: "no aud, none expected" },
  { row: "an aud, none expected", claims: { aud: "orders" }, refused: audience() },
  { row: "an empty list of aud, none expected", claims: { aud: [] }, refused: audience() },
  { row: "an aud, an empty list expected", claims: { aud: "orders" }, options: { audience: [] }, refused: audience() },
  { row: "an aud, any accepted", claims: { aud: "orders" }, options: { audience: null } },
  { row: "no aud, any accepted", options: { audience: null } },
  { row: "the aud that is expected", claims: { aud: "orders" }, options: { audience: "orders" } },
  {
    row: "another aud",
    claims: { aud: "billing" },
    options: { audience: "orders" },
    refused: audience("orders"),
  },
  { row: "no aud, one expected", options: { audience: "orders" }, refused: audience("orders") },
  {
    row: "an empty list of aud, one expected",
    claims: { aud: [] },
    options: { audience: "orders" },
    refused: audience("orders"),
  },
  { row: "a list with the aud in it", claims: { aud: ["a", "orders"] }, options: { audience: "orders" } },
  { row: "a list with one of two", claims: { aud: ["a", "b"] }, options: { audience: ["c", "b"] } },
  { row: "one of two", claims: { aud: "b" }, options: { audience: ["c", "b"] } },
  {
    row: "none of two",
    claims: { aud: ["a", "d"] },
    options: { audience: ["c", "b"] },
    refused: audience("c", "b"),
  },
  {
    row: "the aud in capitals",
    claims: { aud: "Orders" },
    options: { audience: "orders" },
    refused: audience("orders"),
  },
  {
    row: "an aud that begins like the one that is expected",
    claims: { aud: "orders2" },
    options: { audience: "orders" },
    refused: audience("orders"),
  },
  {
    row: "an aud that is a part of the one that is expected",
    claims: { aud: "order" },
    options: { audience: "orders" },
    refused: audience("orders"),
  },
  ...[1, null, true, {}, ["a", 1], [["orders"]], [null]].map((aud): Row => ({
    row: `an aud of ${JSON.stringify(aud)}`,
    claims: { aud },
    options: { audience: null },
    refused: wrong("aud", "has to be text or a list of texts"),
  })),
  // typ (RFC 8725 section 3.11)
  { row: "no typ, none expected", header: { typ: undefined } },
  { row: "any typ, none expected", header: { typ: "anything" } },
  { row: "the typ that is expected", header: { typ: "logout+jwt" }, options: { typ: "logout+jwt" } },
  { row: "that typ with application/", header: { typ: "application/logout+jwt" }, options: { typ: "logout+jwt" } },
  {
    row: "that typ, expected with application/",
    header: { typ: "logout+jwt" },
    options: { typ: "application/logout+jwt" },
  },
  { row: "that typ in capitals", header: { typ: "Application/LOGOUT+jwt" }, options: { typ: "logout+JWT" } },
  {
    row: "a type of another tree",
    header: { typ: "message/logout+jwt" },
    options: { typ: "message/logout+jwt" },
  },
  {
    row: "that of another tree with application/, which stands for nothing there",
    header: { typ: "application/message/logout+jwt" },
    options: { typ: "message/logout+jwt" },
    refused: type("typ has to be message/logout+jwt"),
  },
  {
    row: "another typ",
    header: { typ: "JWT" },
    options: { typ: "logout+jwt" },
    refused: type("typ has to be logout+jwt"),
  },
  {
    row: "no typ, one expected",
    header: { typ: undefined },
    options: { typ: "logout+jwt" },
    refused: type("typ has to be logout+jwt"),
  },
  {
    row: "that typ with a parameter",
    header: { typ: "logout+jwt;x=1" },
    options: { typ: "logout+jwt" },
    refused: type("typ has to be logout+jwt"),
  },
  // at+jwt (RFC 9068 section 4)
  {
    row: "an access token",
    header: { typ: "at+jwt" },
    claims: accessClaims,
    options: { profile: "at+jwt", audience: "orders" },
  },
  {
    row: "an access token with application/",
    header: { typ: "application/at+jwt" },
    claims: accessClaims,
    options: { profile: "at+jwt", audience: "orders" },
  },
  {
    row: "an ID token in place of an access token",
    header: { typ: "JWT" },
    claims: accessClaims,
    options: { profile: "at+jwt", audience: "orders" },
    refused: notAccess,
  },
  {
    row: "an access token without typ",
    header: { typ: undefined },
    claims: accessClaims,
    options: { profile: "at+jwt", audience: "orders" },
    refused: notAccess,
  },
  ...["iss", "exp", "aud", "sub", "client_id", "iat", "jti"].map((claim): Row => ({
    row: `an access token without ${claim}`,
    header: { typ: "at+jwt" },
    claims: { ...accessClaims, [claim]: undefined },
    options: { profile: "at+jwt", audience: "orders" },
    // Whose it is comes before what it says.
    refused: claim === "iss" ? { _tag: "Issuer", rule: "it names none (RFC 7519 section 4.1.1)" } : missing(claim),
  })),
  {
    row: "an access token without anything",
    header: { typ: "at+jwt" },
    claims: { exp: undefined, iat: undefined },
    options: { profile: "at+jwt", audience: "orders" },
    refused: missing("exp", "aud", "sub", "client_id", "iat", "jti"),
  },
  // ID tokens (OpenID Connect Core 1.0 sections 2 and 3.1.3.7)
  { row: "an ID token", claims: idClaims, options: { profile: "id_token", audience: "app" } },
  {
    row: "an ID token without typ",
    header: { typ: undefined },
    claims: idClaims,
    options: { profile: "id_token", audience: "app" },
  },
  {
    row: "an access token in place of an ID token",
    header: { typ: "at+jwt" },
    claims: { ...idClaims, ...accessClaims, aud: "app" },
    options: { profile: "id_token", audience: "app" },
    refused: notId,
  },
  {
    row: "a logout token in place of an ID token",
    header: { typ: "logout+jwt" },
    claims: idClaims,
    options: { profile: "id_token", audience: "app" },
    refused: notId,
  },
  ...["sub", "aud", "exp", "iat"].map((claim): Row => ({
    row: `an ID token without ${claim}`,
    claims: { ...idClaims, [claim]: undefined },
    options: { profile: "id_token", audience: "app" },
    refused: missing(claim),
  })),
  {
    row: "an ID token with our azp",
    claims: { ...idClaims, aud: ["app", "api"], azp: "app" },
    options: { profile: "id_token", audience: "app" },
  },
  {
    row: "an ID token with another's azp",
    claims: { ...idClaims, aud: ["app", "evil"], azp: "evil" },
    options: { profile: "id_token", audience: "app" },
    refused: audience("app"),
  },
  {
    row: "an azp of another where it is no ID token",
    claims: { aud: ["app"], azp: "evil" },
    options: { audience: "app" },
  },
  // What has to be there
  { row: "no exp", claims: { exp: undefined }, refused: missing("exp") },
  { row: "no exp, which is not required", claims: { exp: undefined }, options: { requireExp: false } },
  {
    row: "an exp that has passed, though it is not required",
    claims: { exp: at(-1) },
    options: { requireExp: false },
    refused: { _tag: "Expired", expiredAt: ms(-1) },
  },
  {
    row: "no exp, where a profile requires it",
    header: { typ: "at+jwt" },
    claims: { ...accessClaims, exp: undefined },
    options: { profile: "at+jwt", audience: "orders", requireExp: false },
    refused: missing("exp"),
  },
  {
    row: "no iat, where an age is asked for",
    claims: { iat: undefined },
    options: { maxAge: "1 hour" },
    refused: missing("iat"),
  },
  {
    row: "claims that are asked for, of which two are missing",
    claims: { tenant: "acme" },
    options: { requiredClaims: ["scope", "tenant", "sub"] },
    refused: missing("scope", "sub"),
  },
  { row: "a claim that is asked for, and null", claims: { scope: null }, options: { requiredClaims: ["scope"] } },
  {
    row: "a claim that is asked for, and only inherited",
    options: { requiredClaims: ["constructor", "__proto__", "toString"] },
    refused: missing("constructor", "__proto__", "toString"),
  },
  // Types (RFC 7519 section 4.1)
  ...["exp", "nbf", "iat"].flatMap((claim) =>
    ["1", null, true, {}, []].map((value): Row => ({
      row: `an ${claim} of ${JSON.stringify(value)}`,
      claims: { [claim]: value },
      refused: wrong(claim, "has to be a number of seconds"),
    })),
  ),
  ...["sub", "jti"].flatMap((claim) =>
    [1, null, true, {}, []].map((value): Row => ({
      row: `a ${claim} of ${JSON.stringify(value)}`,
      claims: { [claim]: value },
      refused: wrong(claim, "has to be text"),
    })),
  ),
]

describe("a token is judged by Effect's clock", () => {
  for (const { claims, options, refused, seconds, when } of moments) {
    it.effect(`${when}: ${refused?._tag ?? "accepted"}`, () =>
      Effect.gen(function* () {
        const { claims: right, forge, header, reason, verify } = yield* setUp()
        const token = yield* forge(header, { ...right, ...claims })
        yield* after(seconds)
        if (refused === undefined) assert.strictEqual((yield* verify(token, options)).issuer, right.iss)
        else assert.deepStrictEqual(yield* reason(token, options), refused)
      }),
    )
  }
})

describe("claims and options", () => {
  for (const { claims, header: parameters, options, refused, row } of rows) {
    it.effect(`${row}: ${refused?._tag ?? "accepted"}`, () =>
      Effect.gen(function* () {
        const { claims: right, forge, header, reason, verify } = yield* setUp()
        const token = yield* forge({ typ: "JWT", ...header, ...parameters }, { ...right, ...claims })
        if (refused === undefined) assert.strictEqual((yield* verify(token, options)).issuer, right.iss)
        else assert.deepStrictEqual(yield* reason(token, options), refused)
      }),
    )
  }

  it.effect("numbers that JSON reads as infinite are no times, in whatever claim", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason } = yield* setUp()
      for (const claim of ["exp", "nbf", "iat"]) {
        const { [claim]: _, ...others }: Record<string, unknown> = { nbf: 0, ...claims }
        const text = `${JSON.stringify(others).slice(0, -1)},"${claim}":1e999}`
        assert.deepStrictEqual(yield* reason(yield* forge(header, text)), wrong(claim, "has to be a number of seconds"))
      }
    }),
  )

  it.effect("a time that no calendar has is told without a defect", () =>
    Effect.gen(function* () {
      const { claims, error, forge, header } = yield* setUp()
      const { message } = yield* error(yield* forge(header, { ...claims, nbf: 1e300 }))
      assert.strictEqual(message, "token refused: not valid before an absurd time (nbf)")
    }),
  )
})
