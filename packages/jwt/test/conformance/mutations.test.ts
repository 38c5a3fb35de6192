/**
 * Tokens that something happened to, and texts that never were any: whatever comes, the answer is a typed refusal or what
 * was signed.
 *
 * `FUZZ_RUNS` says how often each property is tried.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwtInvalid } from "@effect-jwks/jwt"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { encodePart, forge } from "../forge.ts"
import { setUp, signerOf } from "../support.ts"

const runs = Number(process.env["FUZZ_RUNS"] ?? 300)

const oneOf = <const L extends ReadonlyArray<string | number | boolean>>(...values: L) =>
  Arbitrary.schema(Schema.Literals(values))

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

describe("a token that a character was changed of", () => {
  it.effect("does not verify, whichever character it is", () =>
    Effect.gen(function* () {
      const { claims, forge, header, idp, verify } = yield* setUp({ registration: { kidRefresh: { burst: 1 } } })
      const token = yield* forge(header, { ...claims, sub: "ada" })
      yield* verify(token)
      for (let at = 0; at < token.length; at++) {
        const was = token.charAt(at)
        const others = [
          alphabet.charAt((alphabet.indexOf(was) + 1) % 64),
          alphabet.charAt((at * 31 + 7) % 64),
          ".",
          "=",
        ]
        for (const other of others) {
          if (other === was) continue
          const changed = `${token.slice(0, at)}${other}${token.slice(at + 1)}`
          const result = yield* Effect.result(verify(changed))
          if (result._tag === "Success") return assert.fail(`verifies with ${other} at ${at}`)
          // Another kid or another iss may name nobody; never is a mutation an outage or a defect.
          assert.include(["JwtInvalid", "KeyNotFound"], result.failure._tag, `${other} at ${at}`)
        }
        assert.isTrue((yield* Effect.result(verify(token.slice(0, at))))._tag === "Failure", `cut at ${at}`)
      }
      assert.isAtMost(idp.requests, 3)
      return undefined
    }),
  )

  it.effect.prop(
    "never verifies with other claims, however much was changed, moved, cut or put in",
    {
      edits: Arbitrary.array(
        Arbitrary.all({
          how: oneOf("change", "insert", "delete", "double", "swap", "reverse"),
          at: int(0, 400),
          length: int(1, 40),
          text: oneOf(
            "A",
            "_",
            "-",
            ".",
            "..",
            "=",
            " ",
            "\n",
            "%2e",
            "e30",
            "eyJhbGciOiJub25lIn0",
            "\u0000",
            "é",
            "+",
            "/",
          ),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    },
    ({ edits }) =>
      Effect.gen(function* () {
        const { claims, forge, header, verify } = yield* setUp()
        const signed = { ...claims, sub: "ada" }
        const token = yield* forge(header, signed)
        const spoiled = edits.reduce((text, { at, how, length, text: piece }) => {
          const from = at % (text.length + 1)
          const [head, middle, tail] = [text.slice(0, from), text.slice(from, from + length), text.slice(from + length)]
          switch (how) {
            case "change":
              return head + piece + text.slice(from + piece.length)
            case "insert":
              return head + piece + middle + tail
            case "delete":
              return head + tail
            case "double":
              return head + middle + middle + tail
            case "swap":
              return head + tail + middle
            case "reverse":
              return head + Array.from(middle).toReversed().join("") + tail
          }
        }, token)
        const result = yield* Effect.result(verify(spoiled))
        if (result._tag === "Success") {
          assert.strictEqual(spoiled, token)
          assert.deepStrictEqual<unknown>(result.success.payload, signed)
        } else assert.include(["JwtInvalid", "KeyNotFound"], result.failure._tag)
      }),
    { arbitrary: { runs } },
  )
})

describe("texts that never were tokens", () => {
  const pieces = oneOf(
    ...["", ".", "..", "...", "a", "A", "AA", "AAA", "AAAA", "=", "-", "_", "+", "/", " ", "\t", "\r\n", "\u0000"],
    ...["\ufeff", "\ud800", "é", "🔑", "e30", "eyJhbGciOiJFUzI1NiJ9", "eyJhbGciOiJub25lIn0", "bnVsbA", "W10", "MQ"],
    ...["{", "}", '{"payload":"', "Bearer ", "constructor", "__proto__", "x".repeat(5_000), ".".repeat(5_000)],
  )

  it.effect.prop(
    "are refused as tokens, and nobody is asked for a key",
    { parts: Arbitrary.array(pieces, { maxLength: 8 }) },
    ({ parts }) =>
      Effect.gen(function* () {
        const { error, idp } = yield* setUp({ registration: { warm: false } })
        assert.instanceOf(yield* error(parts.join("")), JwtInvalid)
        assert.strictEqual(idp.requests, 0)
      }),
    { arbitrary: { runs } },
  )

  it.effect.prop(
    "nor is any text at all a defect",
    { text: Schema.String },
    ({ text }) =>
      Effect.gen(function* () {
        const { error } = yield* setUp({ registration: { warm: false } })
        assert.instanceOf(yield* error(text), JwtInvalid)
      }),
    { arbitrary: { runs } },
  )
})

describe("tokens whose signature is right, and that say anything", () => {
  const values = Arbitrary.map(int(0, 20), (index): unknown =>
    [
      ...[null, true, 0, -1, 1e300, 1.5, "", "x", [], {}, [[]], [null], { a: { b: [1] } }, "ES256", "https://idp.test"],
      ...[1_795_132_800, 9_999_999_999, ["https://idp.test"], ["b64"], "JWT", "\ud800"],
    ].at(index),
  )
  const members = Arbitrary.array(
    Arbitrary.all([
      oneOf(
        "alg",
        "kid",
        "typ",
        "cty",
        "crit",
        "b64",
        "jwk",
        "x5c",
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "azp",
        "__proto__",
      ),
      values,
    ] as const),
    { maxLength: 6 },
  )
  const text = (entries: ReadonlyArray<readonly [string, unknown]>) =>
    `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`

  it.effect.prop(
    "are accepted or refused, and never a defect",
    { header: members, claims: members, isRight: oneOf(true, false), profile: oneOf("none", "at+jwt", "id_token") },
    ({ claims, header, isRight, profile }) =>
      Effect.gen(function* () {
        const { claims: right, header: rightHeader, idp, verify } = yield* setUp()
        const start = isRight ? [Object.entries(rightHeader), Object.entries(right)] : [[], []]
        const token = yield* forge(
          signerOf(idp),
          text([...(start[0] ?? []), ...header]),
          text([...(start[1] ?? []), ...claims]),
        )
        const options = { audience: "x", maxAge: "1 hour", ...(profile !== "none" && { profile }) } as const
        const result = yield* Effect.result(verify(token, options))
        if (result._tag === "Success") assert.strictEqual(result.success.issuer, idp.issuer)
        else assert.include(["JwtInvalid", "KeyNotFound"], result.failure._tag)
      }),
    { arbitrary: { runs } },
  )
})

it.effect("a refusal is given in time that grows with the token, not with its square", () =>
  Effect.gen(function* () {
    const { error } = yield* setUp({ verifier: { maxTokenLength: 1_048_576 }, registration: { warm: false } })
    const length = 1_000_000
    const long = [
      ".".repeat(length),
      "a".repeat(length),
      `${"a".repeat(length)}.a.!`,
      " ".repeat(length),
      "a.".repeat(length / 2),
      `${encodePart({ alg: "ES256" })}.${"A".repeat(length)}.AAAA`,
    ]
    for (const text of long) {
      const before = performance.now()
      assert.strictEqual((yield* error(text))._tag, "JwtInvalid")
      // Linear is some 10 ms; its square would be minutes.
      assert.isBelow(performance.now() - before, 2_000)
    }
  }),
)
