/**
 * Wycheproof's vectors for JSON Web Signatures. Their payload is no claims, so those that are compact JWS are tried where
 * signatures are, and all of them through `verify`, which has to refuse them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { encodePart } from "../forge.ts"
import { staticKeys } from "@effect-jwks/testing"
import { saidOf, setUp, startSeconds } from "../support.ts"
import { groups, malformed, wrongJwks, wrongKeys } from "./wycheproofVectors.ts"

for (const { alg, key, name, vectors } of groups) {
  describe(`Wycheproof, group ${name}`, () => {
    for (const { comment, isValid, jws, tcId } of vectors) {
      it.effect(`${tcId} ${comment}: ${isValid ? "right" : "not right"}`, () =>
        Effect.gen(function* () {
          assert.strictEqual((yield* saidOf(jws, key, alg)) === "Right", isValid)
        }),
      )
    }

    it.effect("no token of it is an identity", () =>
      Effect.gen(function* () {
        const { idp, reason } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: [key] }) })
        for (const { comment, jws } of vectors) {
          assert.include(["Malformed", "Algorithm"], (yield* reason(jws))._tag, comment)
        }
        assert.strictEqual(idp.requests, 1)
      }),
    )
  })
}

describe("Wycheproof, tokens that are no compact JWS", () => {
  for (const { comment, jws, tcId } of malformed) {
    it.effect(`${tcId} ${comment}: malformed`, () =>
      Effect.gen(function* () {
        const { reason } = yield* setUp()
        assert.strictEqual((yield* reason(jws))._tag, "Malformed")
      }),
    )
  }
})

describe("Wycheproof, keys that are not for signatures", () => {
  for (const { alg, comment, right, tcId, wrong } of wrongKeys) {
    it.effect(`${tcId} ${comment} (${alg}): the registry does not hand it out`, () =>
      Effect.gen(function* () {
        const other = { ...(wrongKeys.find((one) => one.alg !== alg)?.right ?? right), kid: "other" }
        for (const [key, found] of [
          [right, true],
          [wrong, false],
        ] as const) {
          const { registry } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: [key, other] }) })
          const resolved = yield* Effect.result(registry.resolveKey("acme", right.kid, { provider: "idp", alg }))
          assert.strictEqual(resolved._tag === "Success", found)
        }
      }),
    )
  }
})

describe("Wycheproof, keys that nobody may use", () => {
  for (const { alg, comment, key, tcId } of wrongJwks) {
    it.effect(`${tcId} ${comment}: no token is verified with it, whatever its signature is`, () =>
      Effect.gen(function* () {
        const { claims, error, registry } = yield* setUp({
          before: (idp) => idp.keys.publishRaw({ keys: [key, ...staticKeys(1)] }),
        })
        const token = `${encodePart({ alg, kid: key.kid })}.${encodePart({ ...claims, exp: startSeconds + 9 })}.AAAA`
        const failure = yield* error(token)
        assert.include(["KeyNotFound", "JwtInvalid"], failure._tag)
        assert.notInclude(failure.message, "signature")
        const { dropped, keys } = yield* registry.providerStatus("acme", "idp")
        assert.lengthOf(keys, 1)
        assert.deepStrictEqual(
          dropped.map(({ kid }) => kid),
          [key.kid],
        )
      }),
    )
  }
})
