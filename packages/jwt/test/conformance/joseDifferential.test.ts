/**
 * Our rules for claims beside jose's own, over random claims and options: where jose accepts we accept, where it refuses
 * we refuse, but for the differences that are named here, each with a test of its own.
 *
 * `FUZZ_RUNS` says how many tokens are tried.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import type { VerifyOptions } from "@effect-jwks/jwt"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { importJWK, jwtVerify, type JWTVerifyOptions } from "jose"
import { forge } from "../forge.ts"
import { setUp, signerOf, start, startSeconds } from "../support.ts"

const runs = Number(process.env["FUZZ_RUNS"] ?? 300)

/** Seconds around now, at the edges of the rules; most of them on the side that is accepted. */
const later = Arbitrary.schema(Schema.Literals([-61, -60, -31, -30, -29, -1, 0, 1, 29, 30, 31, 60, 61, 3_600, 7_200]))
const earlier = Arbitrary.schema(Schema.Literals([-7_200, -3_601, -3_600, -61, -60, -31, -30, -1, 0, 1, 29, 30, 31]))
const maybe = <A>(value: Arbitrary.Arbitrary<A>) =>
  Arbitrary.map(Arbitrary.all([Arbitrary.schema(Schema.Boolean), value] as const), ([isThere, it]) =>
    isThere ? it : undefined,
  )
const oneOf = <const L extends ReadonlyArray<string | number | boolean>>(...values: L) =>
  Arbitrary.schema(Schema.Literals(values))
const names = oneOf("a", "b")
const audiences = Arbitrary.array(names, { minLength: 1, maxLength: 3 })

/** What a token says, and what is asked of it. */
const question = Arbitrary.all({
  exp: Arbitrary.map(Arbitrary.all([oneOf(0, 1, 2, 3), later] as const), ([n, it]) => (n === 0 ? undefined : it)),
  nbf: maybe(earlier),
  iat: maybe(earlier),
  aud: maybe(audiences),
  isList: oneOf(true, false),
  typ: maybe(oneOf("JWT", "at+jwt", "application/at+jwt", "AT+JWT", "")),
  iss: Arbitrary.map(oneOf(0, 1, 2, 3, 4, 5, 6, 7), (n) => (n === 0 ? "https://evil.test" : "https://idp.test")),
  scope: maybe(oneOf("read")),
  expected: maybe(audiences),
  expectedTyp: maybe(maybe(oneOf("JWT", "at+jwt", "application/at+jwt"))),
  tolerance: maybe(oneOf(0, 1, 30)),
  age: maybe(oneOf(60, 3_600)),
  requireExp: oneOf(true, false),
  requireScope: oneOf(true, false),
})

type Question = typeof question extends Arbitrary.Arbitrary<infer A> ? A : never

const defined = (members: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))

/** The claims and the header of the token. */
const tokenOf = (asked: Question) => {
  const at = (offset: number | undefined) => (offset === undefined ? undefined : startSeconds + offset)
  const { aud, isList, iss, scope, typ } = asked
  return {
    header: defined({ typ }),
    claims: defined({
      iss,
      exp: at(asked.exp),
      nbf: at(asked.nbf),
      iat: at(asked.iat),
      aud: isList ? aud : aud?.[0],
      scope,
    }),
  }
}

const ourOptions = ({ age, expected, expectedTyp, requireExp, requireScope, tolerance }: Question): VerifyOptions => ({
  // The first difference: who names no audience means that there is none.
  audience: expected ?? null,
  ...(expectedTyp !== undefined && { typ: expectedTyp }),
  ...(tolerance !== undefined && { clockTolerance: tolerance * 1_000 }),
  ...(age !== undefined && { maxAge: age * 1_000 }),
  // The second: exp has to be there.
  requireExp,
  ...(requireScope && { requiredClaims: ["scope"] }),
})

const joseOptions = (asked: Question): JWTVerifyOptions => ({
  currentDate: new Date(start),
  issuer: "https://idp.test",
  ...(asked.expected !== undefined && { audience: asked.expected }),
  ...(asked.expectedTyp !== undefined && { typ: asked.expectedTyp }),
  ...(asked.tolerance !== undefined && { clockTolerance: asked.tolerance }),
  ...(asked.age !== undefined && { maxTokenAge: asked.age }),
  requiredClaims: [...(asked.requireExp ? ["exp"] : []), ...(asked.requireScope ? ["scope"] : [])],
})

describe("jose's jwtVerify and ours", () => {
  const seen = { accepted: 0, refused: 0 }

  it.effect.prop(
    "agree on every token and every option",
    { asked: question },
    ({ asked }) =>
      Effect.gen(function* () {
        const { idp, verify } = yield* setUp()
        const { claims, header } = tokenOf(asked)
        const { alg, kid } = idp.keys.current
        const token = yield* forge(signerOf(idp), { alg, kid, ...header }, claims)
        const ours = yield* Effect.result(verify(token, ourOptions(asked)))
        const theirs = yield* Effect.result(
          Effect.tryPromise(async () =>
            jwtVerify(token, await importJWK(idp.keys.current.publicJwk, alg), joseOptions(asked)),
          ),
        )
        seen[ours._tag === "Success" ? "accepted" : "refused"] += 1
        assert.strictEqual(ours._tag, theirs._tag, JSON.stringify(asked))
        if (ours._tag === "Success" && theirs._tag === "Success") {
          assert.deepStrictEqual<unknown>(ours.success.payload, theirs.success.payload)
        }
      }),
    { arbitrary: { runs } },
  )

  // A property that always refuses would agree on everything.
  afterAll(() => {
    if (seen.accepted + seen.refused === 0) return
    assert.isAbove(seen.accepted, runs / 40)
    assert.isAbove(seen.refused, runs / 40)
  })
})

/** Tokens on which we differ: what we say, where jose accepts (or the other way round). */
interface Difference {
  readonly what: string
  readonly claims?: Readonly<Record<string, unknown>>
  /** The claims as text, where no object would do. */
  readonly text?: string
  readonly header?: Readonly<Record<string, unknown>>
  readonly ours?: VerifyOptions
  readonly theirs?: JWTVerifyOptions
  /** Seconds after the start. */
  readonly at?: number
  readonly accepts: "we" | "jose"
  readonly says?: string
}

const differences: ReadonlyArray<Difference> = [
  {
    what: "an aud where no audience is expected is refused, not ignored",
    claims: { aud: "orders" },
    accepts: "jose",
    says: "it names an audience, and none is expected",
  },
  {
    what: "a token without exp is refused, not valid for ever",
    claims: { exp: undefined },
    accepts: "jose",
    says: "exp: is missing",
  },
  {
    what: "a token without iss is refused though no issuer is asked for",
    claims: { iss: undefined },
    accepts: "jose",
    says: "it names none",
  },
  {
    what: "an exp of fractions is over at its moment, not at the next whole second of the clock",
    claims: { exp: startSeconds + 0.5 },
    at: 0.9,
    accepts: "jose",
    says: "expired",
  },
  {
    what: "an nbf of fractions begins at its moment, not at the next whole second of the clock",
    claims: { nbf: startSeconds + 0.5 },
    at: 0.9,
    accepts: "we",
  },
  {
    what: "an iat of fractions begins at its moment, too, where its age is asked for",
    claims: { iat: startSeconds + 0.5 },
    ours: { maxAge: "1 minute" },
    theirs: { maxTokenAge: 60 },
    at: 0.9,
    accepts: "we",
  },
  {
    what: "an iat that is older than the age by less than a second is too old",
    ours: { maxAge: "1 minute" },
    theirs: { maxTokenAge: 60 },
    at: 60.9,
    accepts: "jose",
    says: "longer ago than 60 s",
  },
  {
    what: "an aud with anything but texts in it is refused, whatever else is in it",
    claims: { aud: ["orders", 1] },
    ours: { audience: "orders" },
    theirs: { audience: "orders" },
    accepts: "jose",
    says: "aud: has to be text or a list of texts",
  },
  {
    what: "a sub that is no text is refused",
    claims: { sub: 1 },
    accepts: "jose",
    says: "sub: has to be text",
  },
  {
    what: "a jti that is no text is refused",
    claims: { jti: 1 },
    accepts: "jose",
    says: "jti: has to be text",
  },
  {
    what: "an exp beyond all numbers is refused, not valid for ever",
    text: `{"iss":"https://idp.test","exp":1e999}`,
    accepts: "jose",
    says: "exp: has to be a number of seconds",
  },
  {
    what: "an nbf before all numbers is refused, not valid since ever",
    text: `{"iss":"https://idp.test","exp":${startSeconds + 60},"nbf":-1e999}`,
    accepts: "jose",
    says: "nbf: has to be a number of seconds",
  },
  {
    what: "a kid that is no text is refused",
    header: { kid: 1 },
    accepts: "jose",
    says: "its kid is no text",
  },
  {
    what: "a header that says that a token is nested is refused",
    header: { cty: "JWT" },
    accepts: "jose",
    says: "it holds another token",
  },
]

describe("jose's jwtVerify and ours differ", () => {
  for (const { accepts, at = 0, claims, header, ours = {}, says, text, theirs, what } of differences) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const { idp, verify } = yield* setUp()
        const { alg, kid, publicJwk } = idp.keys.current
        const right = { iss: idp.issuer, iat: startSeconds, exp: startSeconds + 3_600 }
        const token = yield* forge(signerOf(idp), { alg, kid, ...header }, text ?? { ...right, ...claims })
        yield* TestClock.setTime(start + at * 1_000)
        const we = yield* Effect.result(verify(token, ours))
        const jose = yield* Effect.result(
          Effect.tryPromise(async () =>
            jwtVerify(token, await importJWK(publicJwk, alg), { currentDate: new Date(start + at * 1_000), ...theirs }),
          ),
        )
        assert.strictEqual(we._tag, accepts === "we" ? "Success" : "Failure")
        assert.strictEqual(jose._tag, accepts === "jose" ? "Success" : "Failure")
        if (we._tag === "Failure") assert.include(we.failure.message, says ?? "nothing")
      }),
    )
  }

  it.effect("a token in another spelling is refused, though jose takes it", () =>
    Effect.gen(function* () {
      const { claims, forge, header, idp, reason } = yield* setUp()
      const token = yield* forge(header, claims)
      const last = token.at(-1) ?? ""
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
      const other = token.slice(0, -1) + alphabet.charAt(alphabet.indexOf(last) + 1)
      const { alg, publicJwk } = idp.keys.current
      yield* Effect.promise(async () =>
        jwtVerify(other, await importJWK(publicJwk, alg), { currentDate: new Date(start) }),
      )
      assert.strictEqual((yield* reason(other))._tag, "Malformed")
    }),
  )
})
