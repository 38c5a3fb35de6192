import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { allJwsAlgorithms } from "../../src/jwk/Jwk.ts"
import { keyAlgorithms, keyKind } from "../../src/jwk/KeyKind.ts"

describe("keyKind", () => {
  it.for([
    ["RSA", undefined, "RSA"],
    ["RSA", "P-256", "RSA"],
    ["EC", "P-256", "P-256"],
    ["EC", "P-384", "P-384"],
    ["EC", "P-521", "P-521"],
    ["OKP", "Ed25519", "Ed25519"],
    ["OKP", "Ed448", "Ed448"],
    ["AKP", undefined, "AKP"],
  ] as const)("knows %s with curve %s", ([kty, crv, kind]) => {
    expect(keyKind(kty, crv)).toEqual(Result.succeed(kind))
  })

  it.for([
    ["EC", "secp256k1"],
    ["EC", "Ed25519"],
    ["EC", undefined],
    ["EC", ["P-256"]],
    ["OKP", "X25519"],
    ["OKP", "X448"],
    ["OKP", "P-256"],
  ] as const)("refuses the curve of %s with %s", ([kty, crv]) => {
    expect(keyKind(kty, crv)).toEqual(Result.fail("UnsupportedCurve"))
  })

  it.each(["rsa", "DSA", "", "constructor", "__proto__"])("refuses the type %j", (kty) => {
    expect(keyKind(kty, "P-256")).toEqual(Result.fail("UnsupportedKeyType"))
  })
})

describe("keyAlgorithms", () => {
  it.for([
    ["RSA", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]],
    ["P-256", ["ES256"]],
    ["P-384", ["ES384"]],
    ["P-521", ["ES512"]],
    ["Ed25519", ["EdDSA", "Ed25519"]],
    ["Ed448", ["EdDSA", "Ed448"]],
  ] as const)("gives a key of kind %s without alg all of %j", ([kind, algorithms]) => {
    expect(keyAlgorithms(kind, undefined, allJwsAlgorithms)).toEqual(Result.succeed(algorithms))
  })

  it("gives a key with alg that algorithm alone", () => {
    expect(keyAlgorithms("RSA", "PS384", allJwsAlgorithms)).toEqual(Result.succeed(["PS384"]))
    expect(keyAlgorithms("AKP", "ML-DSA-65", allJwsAlgorithms)).toEqual(Result.succeed(["ML-DSA-65"]))
  })

  it.for([
    ["Ed25519", "EdDSA"],
    ["Ed25519", "Ed25519"],
    ["Ed448", "EdDSA"],
    ["Ed448", "Ed448"],
  ] as const)("takes both names of an Edwards curve for the same: %s with %s", ([kind, alg]) => {
    const both = Result.succeed(["EdDSA", kind])
    expect(keyAlgorithms(kind, alg, allJwsAlgorithms)).toEqual(both)
    expect(keyAlgorithms(kind, alg, ["EdDSA"])).toEqual(both)
    expect(keyAlgorithms(kind, alg, ["ES256", kind])).toEqual(both)
    expect(keyAlgorithms(kind, alg, [kind === "Ed448" ? "Ed25519" : "Ed448"])).toEqual(
      Result.fail("AlgorithmNotAllowed"),
    )
  })

  it("keeps only what the provider allows", () => {
    expect(keyAlgorithms("RSA", undefined, ["ES256", "PS256", "RS256"])).toEqual(Result.succeed(["RS256", "PS256"]))
    expect(keyAlgorithms("RSA", "RS256", ["PS256"])).toEqual(Result.fail("AlgorithmNotAllowed"))
    expect(keyAlgorithms("P-256", undefined, [])).toEqual(Result.fail("AlgorithmNotAllowed"))
  })

  it.for([
    ["RSA", "none"],
    ["RSA", "HS256"],
    ["RSA", "RSA-OAEP"],
    ["RSA", "ES256"],
    ["RSA", "rs256"],
    ["RSA", ""],
    ["RSA", null],
    ["RSA", ["RS256"]],
    ["P-256", "ES512"],
    ["P-256", "ES256K"],
    ["P-384", "ES256"],
    ["P-521", "ES521"],
    ["Ed25519", "Ed448"],
    ["Ed448", "Ed25519"],
    ["AKP", undefined],
    ["AKP", "EdDSA"],
  ] as const)("refuses %s with alg %j", ([kind, alg]) => {
    expect(keyAlgorithms(kind, alg, allJwsAlgorithms)).toEqual(Result.fail("AlgorithmMismatch"))
  })
})
