/**
 * The examples of the standards. Most of their payloads are no claims, so their signatures are tried where signatures
 * are; those that are tokens go through `verify`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { saidOf, setUp } from "../support.ts"
import { refusals, signatures } from "./rfcVectors.ts"

describe("signatures of the standards are right", () => {
  for (const { alg, key, section, token } of signatures) {
    it.effect(`${section}: ${alg}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* saidOf(token, key, alg), "Right")
      }),
    )

    it.effect(`${section}: ${alg}, and wrong when a bit of what was signed is another`, () =>
      Effect.gen(function* () {
        const [header = "", payload = "", signature = ""] = token.split(".")
        const other = `${header}.${payload.startsWith("S") ? "T" : "S"}${payload.slice(1)}.${signature}`
        assert.strictEqual(yield* saidOf(other, key, alg), "Wrong")
        const spoiled = `${header}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`
        assert.strictEqual(yield* saidOf(spoiled, key, alg), "Wrong")
      }),
    )
  }
})

describe("tokens of the standards", () => {
  // The issuer is `joe`, who published no URL.
  for (const { key, section, token } of signatures.slice(0, 2)) {
    it.effect(`${section}: is accepted until it expires, in 2011`, () =>
      Effect.gen(function* () {
        const exp = 1_300_819_380_000
        const { reason, verify } = yield* setUp({
          at: exp - 60_000,
          vouches: false,
          before: (idp) => idp.keys.publishRaw({ keys: [key] }),
        })
        const options = { provider: "idp", issuer: "joe" }
        assert.deepStrictEqual((yield* verify(token, options)).claims, {
          iss: "joe",
          exp: 1_300_819_380,
          "http://example.com/is_root": true,
        })
        yield* TestClock.setTime(exp)
        assert.deepStrictEqual(yield* reason(token, options), { _tag: "Expired", expiredAt: exp })
      }),
    )
  }

  for (const { says, section, token } of refusals) {
    it.effect(`${section} is refused`, () =>
      Effect.gen(function* () {
        const { error } = yield* setUp()
        assert.include((yield* error(token)).message, says)
      }),
    )
  }
})
