/**
 * Every algorithm that a header can name, on every kind of key that a provider can publish: the matrix in which
 * algorithm confusion would show (RFC 8725 sections 2.1, 3.1 and 3.2).
 */
import { assert, describe, it } from "@effect/vitest"
import { allJwsAlgorithms, type JwsAlgorithm } from "@effect-jwks/core"
import { staticKeys } from "@effect-jwks/testing"
import type { JwtInvalidReason } from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import { encodePart, forge, forgeHmac, type KeyScheme, pairFor, sign, type Signer } from "../forge.ts"
import { setUp, startSeconds } from "../support.ts"

interface Kind {
  readonly scheme: KeyScheme
  /** What it verifies where it is published without `alg`; an AKP key has to have one (RFC 9964). */
  readonly fits: ReadonlyArray<JwsAlgorithm>
  /** The `alg` that it is published with otherwise, and what it verifies then. */
  readonly given: JwsAlgorithm
  readonly fitsGiven: ReadonlyArray<JwsAlgorithm>
}

const kinds: Readonly<Record<string, Kind>> = {
  RSA: {
    scheme: "RS256",
    fits: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    given: "PS256",
    fitsGiven: ["PS256"],
  },
  "P-256": { scheme: "ES256", fits: ["ES256"], given: "ES256", fitsGiven: ["ES256"] },
  "P-384": { scheme: "ES384", fits: ["ES384"], given: "ES384", fitsGiven: ["ES384"] },
  "P-521": { scheme: "ES512", fits: ["ES512"], given: "ES512", fitsGiven: ["ES512"] },
  Ed25519: { scheme: "Ed25519", fits: ["EdDSA", "Ed25519"], given: "EdDSA", fitsGiven: ["EdDSA", "Ed25519"] },
  Ed448: { scheme: "Ed448", fits: ["EdDSA", "Ed448"], given: "Ed448", fitsGiven: ["EdDSA", "Ed448"] },
  "ML-DSA-44": { scheme: "ML-DSA-44", fits: [], given: "ML-DSA-44", fitsGiven: ["ML-DSA-44"] },
  "ML-DSA-65": { scheme: "ML-DSA-65", fits: [], given: "ML-DSA-65", fitsGiven: ["ML-DSA-65"] },
  "ML-DSA-87": { scheme: "ML-DSA-87", fits: [], given: "ML-DSA-87", fitsGiven: ["ML-DSA-87"] },
}

/** Kinds that jose has no algorithm for: what fits them is still never a signature of anybody. */
const unusable: ReadonlyArray<string> = ["Ed448"]

/** Names that are no asymmetric signature algorithm. */
const otherNames = [
  ...["HS256", "HS384", "HS512", "none", "None", "NONE", "nOnE", "rs256", "Es256", "EDDSA", "ES256K", "ES256 "],
  ...["RSA1_5", "RSA-OAEP", "ECDH-ES", "dir", "A128KW", "PBES2-HS256+A128KW"],
  ...["", "*", "null", "constructor", "toString", "__proto__", "0"],
] as const

const claims = { iss: "https://idp.test", exp: startSeconds + 600, sub: "ada" }

/** What a token of the algorithm is signed in, with a key of the kind: the algorithm's scheme where the key has it. */
const signerFor = (alg: string, kind: Kind): Effect.Effect<Signer> =>
  Effect.map(pairFor(kind.scheme), ({ privateJwk }) => {
    const own = kind.fits.find((fitting) => fitting === alg)
    return { scheme: own === undefined || own === "EdDSA" ? kind.scheme : own, privateJwk }
  })

const expectedOf = (alg: string, kind: string, fitting: ReadonlyArray<JwsAlgorithm>): JwtInvalidReason | "accepted" => {
  if (alg === "none")
    return { _tag: "Algorithm", alg, rule: "an unsecured token proves nothing (RFC 8725 section 3.2)" }
  if (!allJwsAlgorithms.some((known) => known === alg)) {
    return { _tag: "Algorithm", alg, rule: "only asymmetric signatures are accepted (RFC 8725 section 3.1)" }
  }
  if (!fitting.some((known) => known === alg)) {
    return { _tag: "Algorithm", alg, rule: "it does not fit the key with this kid" }
  }
  return unusable.includes(kind)
    ? { _tag: "Algorithm", alg, rule: "this runtime can not use the provider's key with it" }
    : "accepted"
}

/** A provider that publishes this key as `1`, and another beside it. */
const publishing = (key: Readonly<Record<string, unknown>>) =>
  setUp({ before: (idp) => idp.keys.publishRaw({ keys: [{ ...key, kid: "1" }, ...staticKeys(1)] }) })

for (const [name, kind] of Object.entries(kinds)) {
  for (const published of [undefined, kind.given]) {
    const fitting = published === undefined ? kind.fits : kind.fitsGiven
    describe(`a key of ${name} that is published ${published === undefined ? "without alg" : `for ${published}`}`, () => {
      for (const alg of [...allJwsAlgorithms, ...otherNames]) {
        const expected = expectedOf(alg, name, fitting)
        const outcome = expected === "accepted" ? expected : `refused, ${expected._tag}`
        it.effect(`alg ${JSON.stringify(alg)}: ${outcome}`, () =>
          Effect.gen(function* () {
            const { alg: _, ...numbers } = (yield* pairFor(kind.scheme)).publicJwk
            const { idp, reason, verify } = yield* publishing(
              published === undefined ? numbers : { ...numbers, alg: published },
            )
            const token = yield* forge(yield* signerFor(alg, kind), { alg, kid: "1" }, claims)
            if (expected === "accepted") assert.strictEqual((yield* verify(token)).claims.sub, "ada")
            else assert.deepStrictEqual(yield* reason(token), expected)
            assert.strictEqual(idp.requests, 1)
          }),
        )
      }
    })
  }
}

/** Texts of a public key that an attacker may take for an HMAC secret. */
const secretsOf = Effect.fnUntraced(function* (scheme: "RS256" | "ES256") {
  const { publicJwk } = yield* pairFor(scheme)
  const algorithm = scheme === "RS256" ? { name: "RSA-PSS", hash: "SHA-256" } : { name: "ECDSA", namedCurve: "P-256" }
  const spki = yield* Effect.promise(async () => {
    const key = await crypto.subtle.importKey("jwk", publicJwk, algorithm, true, ["verify"])
    return Buffer.from(await crypto.subtle.exportKey("spki", key)).toString("base64")
  })
  const pem = `-----BEGIN PUBLIC KEY-----\n${(spki.match(/.{1,64}/g) ?? []).join("\n")}\n-----END PUBLIC KEY-----\n`
  return {
    "its JWK": JSON.stringify(publicJwk),
    "its PEM": pem,
    "its PEM without line end": pem.trim(),
    "its DER": Buffer.from(spki, "base64").toString("latin1"),
    "its number": publicJwk.n ?? publicJwk.x ?? "",
    "its kid": "1",
  }
})

describe("a public key is no secret", () => {
  for (const scheme of ["RS256", "ES256"] as const) {
    for (const alg of ["HS256", "HS384", "HS512"] as const) {
      it.effect(`${alg} with any text of a published ${scheme} key is refused`, () =>
        Effect.gen(function* () {
          const { publicJwk } = yield* pairFor(scheme)
          const { reason } = yield* publishing({ ...publicJwk })
          for (const [what, secret] of Object.entries(yield* secretsOf(scheme))) {
            const token = yield* forgeHmac(alg, secret, { alg, kid: "1" }, claims)
            assert.deepStrictEqual(yield* reason(token), expectedOf(alg, "", []), what)
            // The same signature under the key's own algorithm.
            const input = `${encodePart({ alg: scheme, kid: "1" })}.${encodePart(claims)}`
            const renamed = `${input}.${token.slice(token.lastIndexOf(".") + 1)}`
            assert.deepStrictEqual(yield* reason(renamed), { _tag: "Signature" }, what)
          }
        }),
      )
    }
  }

  it.effect("a symmetric key that a provider publishes by mistake verifies nothing", () =>
    Effect.gen(function* () {
      const { error } = yield* publishing({ kty: "oct", k: encodePart("secret"), alg: "HS256" })
      const token = yield* forgeHmac("HS256", "secret", { alg: "HS256", kid: "1" }, claims)
      assert.deepNestedInclude(yield* error(token), { _tag: "JwtInvalid", "reason._tag": "Algorithm" })
    }),
  )
})

describe("one key, two schemes", () => {
  it.effect("a signature in one is none in the other", () =>
    Effect.gen(function* () {
      const { privateJwk, publicJwk } = yield* pairFor("RS256")
      const { reason } = yield* publishing({ ...publicJwk })
      for (const scheme of ["RS256", "RS384", "PS256", "PS512"] as const) {
        for (const alg of ["RS256", "RS384", "PS256", "PS512"] as const) {
          if (scheme === alg) continue
          const token = yield* forge({ scheme, privateJwk }, { alg, kid: "1" }, claims)
          assert.deepStrictEqual(yield* reason(token), { _tag: "Signature" }, `${scheme} as ${alg}`)
        }
      }
    }),
  )

  it.effect("an Ed25519 key verifies tokens though an Ed448 key has its kid", () =>
    Effect.gen(function* () {
      const [big, small] = [yield* pairFor("Ed448"), yield* pairFor("Ed25519")]
      const keys = [big, small].map(({ publicJwk }) => ({ ...publicJwk, kid: "1" }))
      for (const published of [keys, keys.toReversed()]) {
        const { verify } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: published }) })
        const token = yield* forge(
          { scheme: "Ed25519", privateJwk: small.privateJwk },
          { alg: "EdDSA", kid: "1" },
          claims,
        )
        assert.strictEqual((yield* verify(token)).claims.sub, "ada")
      }
    }),
  )

  it.effect("keys of one kid that can not be used here are told from wrong signatures", () =>
    Effect.gen(function* () {
      const { privateJwk, publicJwk } = yield* pairFor("Ed448")
      const point = "X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA"
      const keys = [publicJwk, { ...publicJwk, x: point }].map((key) => ({ ...key, kid: "1" }))
      const { reason } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys }) })
      const token = yield* forge({ scheme: "Ed448", privateJwk }, { alg: "Ed448", kid: "1" }, claims)
      assert.deepStrictEqual(yield* reason(token), expectedOf("Ed448", "Ed448", ["Ed448"]))
    }),
  )

  it.effect("the empty signature is no signature, whatever the algorithm", () =>
    Effect.gen(function* () {
      const { publicJwk } = yield* pairFor("ES256")
      const { reason } = yield* publishing({ ...publicJwk })
      for (const alg of [...allJwsAlgorithms, "none"]) {
        assert.deepStrictEqual(yield* reason(`${encodePart({ alg, kid: "1" })}.${encodePart(claims)}.`), {
          _tag: "Malformed",
          rule: "it has no signature (RFC 7519 section 6)",
        })
      }
    }),
  )

  it.effect("a signature of zeros is no signature (CVE-2022-21449)", () =>
    Effect.gen(function* () {
      for (const scheme of ["ES256", "ES384", "ES512"] as const) {
        const { privateJwk, publicJwk } = yield* pairFor(scheme)
        const { reason } = yield* publishing({ ...publicJwk })
        const input = `${encodePart({ alg: scheme, kid: "1" })}.${encodePart(claims)}`
        const { length } = Buffer.from(yield* sign({ scheme, privateJwk }, input), "base64url")
        assert.deepStrictEqual(yield* reason(`${input}.${encodePart(new Uint8Array(length))}`), { _tag: "Signature" })
      }
    }),
  )
})
