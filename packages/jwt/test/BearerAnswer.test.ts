/**
 * From an `Authorization` header to a token, and from an error to the answer: RFC 6750 sections 2.1 and 3.
 */
import { InvalidRegistration, JwksUnavailable, KeyAmbiguous, KeyNotFound, NotRegistered } from "@effect-jwks/core"
import { BearerMissing, bearerOf, challengeFor, JwtInvalid, type JwtInvalidReason } from "@effect-jwks/jwt"
import { errors } from "jose"
import { describe, expect, it } from "vitest"

describe("bearerOf", () => {
  it.each([
    ["Bearer a.b.c", "a.b.c"],
    ["bearer a.b.c", "a.b.c"],
    ["BEARER   a.b.c  ", "a.b.c"],
    ["\tBearer a.b.c", "a.b.c"],
  ])("takes the token of %j", (header, token) => {
    expect(bearerOf(header)).toBe(token)
  })

  it.each([
    undefined,
    null,
    "",
    "Basic YWRhOg==",
    "Bearertoken",
    "Bearer-a.b.c",
    "XBearer a.b.c",
    "Basic x, Bearer a.b.c",
    "\u00a0Bearer a.b.c",
  ])("sees no bearer token in %j", (header) => {
    expect(bearerOf(header)).toBeUndefined()
  })

  it.each([
    ["Bearer", ""],
    ["Bearer ", ""],
    ["Bearer\ta.b.c", "\ta.b.c"],
    ["Bearer a.b.c d", "a.b.c d"],
    ["Bearer a.b.c, Bearer d.e.f", "a.b.c, Bearer d.e.f"],
    ["Bearer a\nb", "a\nb"],
    ["Bearer=a", "=a"],
    ["Bearer a.b.c\u00a0", "a.b.c\u00a0"],
    ["Bearer \ufeffa.b.c", "\ufeffa.b.c"],
  ])("leaves what is wrong with %j to the verification", (header, rest) => {
    expect(bearerOf(header)).toBe(rest)
  })

  it("reads a header of a megabyte once", () => {
    expect(bearerOf(`Bearer${" ".repeat(1_000_000)}`)).toBe("")
    expect(bearerOf(`${" ".repeat(1_000_000)}x`)).toBeUndefined()
  })
})

const refused = (reason: JwtInvalidReason) => new JwtInvalid({ tenant: "acme", provider: "idp", reason })
const header = (error: unknown, options = {}) => challengeFor(error, options)?.headers

/** Every parameter of a challenge, by the grammar of RFC 9110 section 11.2; fails on anything else. */
const parametersOf = (challenge: string): Record<string, string> => {
  const found: Record<string, string> = {}
  let rest = challenge.replace(/^Bearer /, "")
  for (;;) {
    const match = /^(\w+)="((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"(?:, |$)/.exec(rest)
    if (match === null) throw new Error(`no parameter: ${rest}`)
    const [whole, name = "", value = ""] = match
    found[name] = value.replace(/\\(.)/g, "$1")
    rest = rest.slice(whole.length)
    if (rest === "") return found
  }
}

describe("challengeFor", () => {
  it("asks for a token without an error code where none was sent", () => {
    expect(challengeFor(new BearerMissing())).toEqual({
      status: 401,
      headers: { "www-authenticate": 'Bearer realm="api"' },
    })
  })

  it.each<JwtInvalidReason>([
    { _tag: "Malformed", rule: "x" },
    { _tag: "Algorithm", alg: 'none"\r\nset-cookie: a=b', rule: "x" },
    { _tag: "Signature" },
    { _tag: "Expired", expiredAt: 0 },
    { _tag: "NotYetValid", claim: "nbf", validAt: 0 },
    { _tag: "TooOld", issuedAt: 0, maxAgeMillis: 1 },
    { _tag: "Audience", expected: ["orders"] },
    { _tag: "Issuer", rule: "x" },
    { _tag: "Type", rule: "x" },
    { _tag: "Claims", issues: [{ claim: 'a"b\\', rule: "x" }] },
  ])("calls a token invalid, whatever it says: $_tag", (reason) => {
    const { headers, status } = challengeFor(refused(reason))
    expect(status).toBe(401)
    const parameters = parametersOf("www-authenticate" in headers ? headers["www-authenticate"] : "")
    expect(parameters).toEqual({
      realm: "api",
      error: "invalid_token",
      error_description: expect.stringMatching(/^[a-z ]+$/),
    })
  })

  it("does not tell an unknown tenant from an unknown issuer", () => {
    expect(challengeFor(new NotRegistered({ tenant: "acme" }))).toEqual(
      challengeFor(refused({ _tag: "Issuer", rule: "no provider of the tenant vouches for it" })),
    )
  })

  it("answers 401 for a key that is proven absent, or ambiguous", () => {
    expect(challengeFor(new KeyNotFound({ tenant: "acme", kid: "x", confirmed: true })).status).toBe(401)
    expect(challengeFor(new KeyAmbiguous({ tenant: "acme", thumbprints: ["a", "b"] })).status).toBe(401)
  })

  it.each([
    [undefined, "1"],
    [0, "1"],
    [1, "1"],
    [1_000, "1"],
    [1_001, "2"],
    [29_999, "30"],
  ])("answers an outage with 503, and %j ms with %s s", (retryAfterMillis, seconds) => {
    const retry = retryAfterMillis === undefined ? {} : { retryAfterMillis }
    const unavailable = new JwksUnavailable({ tenant: "acme", reason: { _tag: "RegistryClosed" }, ...retry })
    const unproven = new KeyNotFound({ tenant: "acme", kid: "x", confirmed: false, ...retry })
    for (const error of [unavailable, unproven]) {
      expect(challengeFor(error)).toEqual({ status: 503, headers: { "retry-after": seconds } })
    }
  })

  const malformed = new JwtInvalid({ tenant: "acme", reason: { _tag: "Malformed", rule: "no" } })
  const mistaken = new errors.JWSInvalid("Invalid Compact JWS")

  it.each(["Bearer", "Bearer ", "Bearer a.b.c d", "Bearer a, Bearer b", 'Bearer "a.b.c"', "bearer a,b"])(
    "says of %j that it is no one token, where it is shown",
    (authorization) => {
      for (const error of [malformed, mistaken]) {
        expect(challengeFor(error, { authorization })).toStrictEqual({
          status: 400,
          headers: {
            "www-authenticate":
              'Bearer realm="api", error="invalid_request", error_description="the Authorization header does not hold one bearer token"',
          },
        })
        expect(challengeFor(error)?.status).toBe(401)
      }
      expect(challengeFor(new TypeError("a bug"), { authorization })).toBeUndefined()
    },
  )

  it.each([undefined, null, "Basic YWRhOg==", "Bearer a.b", "Bearer a.b.c=="])(
    "judges the token alone where the header is %j",
    (authorization) => {
      for (const error of [malformed, mistaken]) expect(challengeFor(error, { authorization })?.status).toBe(401)
      expect(header(new BearerMissing(), { authorization })).toStrictEqual({ "www-authenticate": 'Bearer realm="api"' })
    },
  )

  it("asks for no scope where there is none to ask for", () => {
    const { headers } = challengeFor(new BearerMissing(), { scope: [] })
    expect(headers).toStrictEqual({ "www-authenticate": 'Bearer realm="api"' })
  })

  it("quotes what the application says", () => {
    const options = { realm: 'say "\\hi"\r\n\u00e9', scope: ["read", "write"], resourceMetadata: "https://a.example/m" }
    const headers = challengeFor(refused({ _tag: "Signature" }), options).headers
    const text = "www-authenticate" in headers ? headers["www-authenticate"] : ""
    expect(parametersOf(text)).toMatchObject({
      realm: 'say "\\hi"???',
      scope: "read write",
      error: "invalid_token",
      resource_metadata: "https://a.example/m",
    })
  })

  it("understands jose's errors that blame the token, and no others", () => {
    for (const error of [
      new errors.JWTExpired("late", {}),
      new errors.JWTClaimValidationFailed("aud", {}),
      new errors.JWTInvalid(),
      new errors.JWSInvalid(),
      new errors.JWSSignatureVerificationFailed(),
      new errors.JOSEAlgNotAllowed(),
      new errors.JOSENotSupported(),
    ]) {
      expect(challengeFor(error)?.status, error.code).toBe(401)
      expect(JSON.stringify(header(error))).toContain("invalid_token")
    }
    for (const error of [
      new errors.JWKSTimeout(),
      new errors.JWKInvalid(),
      new Error("bug"),
      new InvalidRegistration({ issues: [] }),
      new DOMException("gone", "AbortError"),
      { _tag: "JwtInvalid" },
      "text",
      undefined,
    ]) {
      expect(challengeFor(error)).toBeUndefined()
    }
  })
})
