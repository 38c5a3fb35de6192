/**
 * Signatures beside jose's own verification: it is asked with the same key for every algorithm, on signatures of every scheme that
 * the key can make, spoiled and whole. Where jose takes one we take it, and where it refuses we refuse for the same reason.
 *
 * `FUZZ_RUNS` says how many tokens are tried.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { allJwsAlgorithms, type Jwk, type JwsAlgorithm } from "@effect-jwks/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { compactVerify, importJWK, type JWK } from "jose"
import { decode } from "jose/base64url"
import { JWSSignatureVerificationFailed } from "jose/errors"
import {
  constants,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signWith,
  type SigningOptions,
} from "node:crypto"
import type { Said } from "../../src/internal/SignatureCheck.ts"
import { encodePart, forge, type KeyScheme, pairFor, type Signer } from "../forge.ts"
import { saidOf, signedTextOf } from "../support.ts"

const runs = Number(process.env["FUZZ_RUNS"] ?? 300)

/** What jose says, in our words. It looks at keys first; who sends no base64url is told so whatever the key is. */
const joseSays = (token: string, jwk: JWK, alg: JwsAlgorithm): Effect.Effect<Said> =>
  Effect.promise(async () => {
    try {
      decode(signedTextOf(token).signature)
    } catch {
      return "Malformed"
    }
    try {
      await compactVerify(token, await importJWK({ ...jwk, alg }, alg))
      return "Right"
    } catch (error) {
      return error instanceof JWSSignatureVerificationFailed ? "Wrong" : "Unusable"
    }
  })

const publicOf = ({ crv, e, kty, n, pub, x, y }: JWK): Jwk =>
  // Members that are not there are left out.
  JSON.parse(JSON.stringify({ kty, crv, n, e, x, y, pub }))

/** Both of a token, which have to say the same. */
const bothSay = (token: string, jwk: JWK, alg: JwsAlgorithm): Effect.Effect<Said> =>
  Effect.gen(function* () {
    const ours = yield* saidOf(token, publicOf(jwk), alg)
    assert.strictEqual(ours, yield* joseSays(token, jwk, alg), `${alg}: ${token}`)
    return ours
  })

/** A kind of key, the schemes that its numbers can sign in, and the algorithms that a token may claim. */
const kinds: ReadonlyArray<{
  readonly key: KeyScheme
  readonly schemes: ReadonlyArray<Signer["scheme"]>
  readonly algs: ReadonlyArray<JwsAlgorithm>
}> = [
  {
    key: "RS256",
    schemes: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    algs: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  },
  { key: "ES256", schemes: ["ES256"], algs: ["ES256", "ES384"] },
  { key: "ES384", schemes: ["ES384"], algs: ["ES384", "ES256"] },
  { key: "ES512", schemes: ["ES512"], algs: ["ES512", "ES384"] },
  { key: "Ed25519", schemes: ["Ed25519"], algs: ["EdDSA", "Ed25519", "Ed448"] },
  { key: "Ed448", schemes: ["Ed448"], algs: ["Ed448", "EdDSA"] },
  { key: "ML-DSA-44", schemes: ["ML-DSA-44"], algs: ["ML-DSA-44", "ML-DSA-65"] },
  { key: "ML-DSA-65", schemes: ["ML-DSA-65"], algs: ["ML-DSA-65"] },
  { key: "ML-DSA-87", schemes: ["ML-DSA-87"], algs: ["ML-DSA-87"] },
]

const cases = kinds.flatMap(({ algs, key, schemes }) =>
  schemes.flatMap((scheme) => algs.map((alg) => ({ key, scheme, alg }))),
)

const isRightOf = ({ alg, scheme }: { readonly scheme: Signer["scheme"]; readonly alg: JwsAlgorithm }): boolean =>
  scheme !== "Ed448" && (alg === scheme || (alg === "EdDSA" && scheme === "Ed25519"))

const tokenOf = Effect.fnUntraced(function* (key: KeyScheme, scheme: Signer["scheme"], alg: JwsAlgorithm, sub: string) {
  const { privateJwk, publicJwk } = yield* pairFor(key)
  return { token: yield* forge({ scheme, privateJwk }, { alg }, { iss: "https://idp.test", sub }), publicJwk }
})

describe("jose and we say the same of a signature", () => {
  assert.sameMembers(Array.from(new Set(cases.map(({ alg }) => alg))), Array.from(allJwsAlgorithms))

  for (const { alg, key, scheme } of cases) {
    it.effect(`made with ${scheme} under the name of ${alg}`, () =>
      Effect.gen(function* () {
        const { publicJwk, token } = yield* tokenOf(key, scheme, alg, "ada")
        assert.strictEqual((yield* bothSay(token, publicJwk, alg)) === "Right", isRightOf({ scheme, alg }))
      }),
    )
  }
})

/** What becomes of the last part, or of a bit before it. */
const damages = [
  "none",
  "none",
  "bit of the signature",
  "bit of the payload",
  "shorter",
  "longer",
  "empty",
  "zeros",
  "twice",
  "backwards",
  "not base64url",
  "padded",
] as const

const question = Arbitrary.all({
  case: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: cases.length - 1 }))),
  damage: Arbitrary.schema(Schema.Literals(damages)),
  at: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))),
})

const flip = (bytes: Buffer, at: number): Buffer => {
  const other = Buffer.from(bytes)
  const place = at % Math.max(1, other.length)
  other[place] = (other[place] ?? 0) ^ (1 << (at % 8))
  return other
}

const damaged = (token: string, damage: (typeof damages)[number], at: number): string => {
  const [header = "", payload = "", signature = ""] = token.split(".")
  const bytes = Buffer.from(signature, "base64url")
  const withSignature = (other: Buffer | string) =>
    `${header}.${payload}.${typeof other === "string" ? other : other.toString("base64url")}`
  switch (damage) {
    case "none":
      return token
    case "bit of the signature":
      return withSignature(flip(bytes, at))
    case "bit of the payload":
      return `${header}.${flip(Buffer.from(payload, "base64url"), at).toString("base64url")}.${signature}`
    case "shorter":
      return withSignature(bytes.subarray(0, at % bytes.length))
    case "longer":
      return withSignature(Buffer.concat([bytes, Buffer.alloc(1 + (at % 4))]))
    case "empty":
      return withSignature("")
    case "zeros":
      return withSignature(Buffer.alloc(bytes.length))
    case "twice":
      return withSignature(Buffer.concat([bytes, bytes]))
    case "backwards":
      return withSignature(Buffer.from(bytes.toReversed()))
    case "not base64url":
      return withSignature(`${signature.slice(0, at % signature.length)}!${signature.slice(at % signature.length)}`)
    case "padded":
      return withSignature(`${signature}${"=".repeat(1 + (at % 3))}`)
  }
}

describe("jose and we", () => {
  const seen = new Map<Said, number>()

  it.effect.prop(
    "say the same of any signature, whole or not",
    { asked: question },
    ({ asked: { at, case: nth, damage } }) =>
      Effect.gen(function* () {
        const { alg, key, scheme } = cases[nth] ?? { alg: "RS256", key: "RS256", scheme: "RS256" }
        const { publicJwk, token } = yield* tokenOf(key, scheme, alg, `user-${at}`)
        const said = yield* bothSay(damaged(token, damage, at), publicJwk, alg)
        seen.set(said, (seen.get(said) ?? 0) + 1)
        if (damage === "none") assert.strictEqual(said === "Right", isRightOf({ scheme, alg }))
      }),
    { arbitrary: { runs } },
  )

  // A property that always says the same would agree on everything.
  afterAll(() => {
    if (seen.size === 0) return
    for (const said of ["Right", "Wrong", "Malformed", "Unusable"] as const) {
      assert.isAbove(seen.get(said) ?? 0, runs / 100, said)
    }
  })
})

/** What is signed here by other means than Web Crypto, which makes none of these signatures. */
const inputFor = (alg: JwsAlgorithm): string => `${encodePart({ alg })}.${encodePart({ iss: "https://idp.test" })}`

const signFor = (alg: JwsAlgorithm, key: KeyObject, options: SigningOptions = {}): Buffer =>
  signWith("sha256", Buffer.from(inputFor(alg)), { key, ...options })

const tokenWith = (alg: JwsAlgorithm, signature: Buffer): string =>
  `${inputFor(alg)}.${signature.toString("base64url")}`

const pss = (saltLength: number): SigningOptions => ({ padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })

const nodePairFor = Effect.fnUntraced(function* (key: KeyScheme) {
  const { privateJwk, publicJwk } = yield* pairFor(key)
  return { publicJwk, privateKey: createPrivateKey({ key: { ...privateJwk }, format: "jwk" }) }
})

describe("jose and we take no signature", () => {
  it.effect("of RSA-PSS with a salt of another length than the hash's", () =>
    Effect.gen(function* () {
      const { privateKey, publicJwk } = yield* nodePairFor("RS256")
      const say = (saltLength: number) =>
        bothSay(tokenWith("PS256", signFor("PS256", privateKey, pss(saltLength))), publicJwk, "PS256")
      for (const saltLength of [0, 20, 31, 33, 64, constants.RSA_PSS_SALTLEN_MAX_SIGN]) {
        assert.strictEqual(yield* say(saltLength), "Wrong")
      }
      assert.strictEqual(yield* say(32), "Right")
    }),
  )

  it.effect("of ECDSA in DER", () =>
    Effect.gen(function* () {
      const { privateKey, publicJwk } = yield* nodePairFor("ES256")
      const der = signFor("ES256", privateKey, { dsaEncoding: "der" })
      assert.strictEqual(yield* bothSay(tokenWith("ES256", der), publicJwk, "ES256"), "Wrong")
    }),
  )

  it.effect("of an RSA key of less than 2048 bits", () =>
    Effect.gen(function* () {
      for (const modulusLength of [1024, 2040, 2047]) {
        const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength })
        const jwk: JWK = { ...publicKey.export({ format: "jwk" }), kty: "RSA" }
        for (const alg of ["RS256", "PS256"] as const) {
          const signature = signFor(alg, privateKey, alg === "PS256" ? pss(32) : {})
          assert.strictEqual(yield* bothSay(tokenWith(alg, signature), jwk, alg), "Unusable")
        }
      }
    }),
  )
})

it.effect("a signature of RSA-PSS without its leading zero is right for jose, and wrong for us", () =>
  Effect.gen(function* () {
    const { privateKey, publicJwk } = yield* nodePairFor("RS256")
    // One of 256 begins with zero.
    let signature = signFor("PS256", privateKey, pss(32))
    while (signature[0] !== 0) signature = signFor("PS256", privateKey, pss(32))
    const cut = tokenWith("PS256", signature.subarray(1))
    assert.strictEqual(yield* bothSay(tokenWith("PS256", signature), publicJwk, "PS256"), "Right")
    assert.strictEqual(yield* joseSays(cut, publicJwk, "PS256"), "Right")
    assert.strictEqual(yield* saidOf(cut, publicOf(publicJwk), "PS256"), "Wrong")
  }),
)

it.effect("a signature of ECDSA has a twin that anybody can make, for jose and for us", () =>
  Effect.gen(function* () {
    const { publicJwk, token } = yield* tokenOf("ES256", "ES256", "ES256", "ada")
    const { input, signature } = signedTextOf(token)
    const bytes = Buffer.from(signature, "base64url")
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const s = BigInt(`0x${bytes.subarray(32).toString("hex")}`)
    const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from((order - s).toString(16).padStart(64, "0"), "hex")])
    const other = `${input}.${twin.toString("base64url")}`
    assert.notStrictEqual(other, token)
    assert.strictEqual(yield* bothSay(other, publicJwk, "ES256"), "Right")
  }),
)
