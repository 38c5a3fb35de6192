/**
 * Entries of a set that may not verify anything, each beside a good key that stays.
 */
import type { DropReason } from "@effect-jwks/core"
import { goodKeys, jwks, jwksType, response } from "../Answer.ts"
import type { GuardName } from "../guards.ts"
import { about, type CaseOf, type Expected, type HostileCase, holds } from "../HostileCase.ts"

type Entry = Readonly<Record<string, unknown>>

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url")

/** An odd number of so many bits; that it is no product of two primes nobody can tell. */
const modulus = (bits: number, lowest = 1): string => {
  const bytes = new Uint8Array(Math.ceil(bits / 8)).fill(0xa5)
  bytes[0] = 1 << ((bits - 1) % 8)
  bytes[bytes.length - 1] = 0xa4 | lowest
  return base64url(bytes)
}

const rsa: Entry = { kty: "RSA", kid: "rsa", n: modulus(2_048), e: "AQAB" }
const p256: Entry = { ...goodKeys(1, 5)[0], kid: "p256" }
/** RFC 8037 appendix A.2. */
const ed25519: Entry = { kty: "OKP", crv: "Ed25519", kid: "ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }
/** RFC 8032 section 7.4. */
const ed448: Entry = {
  kty: "OKP",
  crv: "Ed448",
  kid: "ed448",
  x: "X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA",
}
const p384: Entry = {
  kty: "EC",
  crv: "P-384",
  kid: "p384",
  x: "AFnlvX_qPytkH9V8Gl8ETx05aT1vaBeyns210B9vYpcZWGEnAXuHxSzt0Ah7vfXG",
  y: "CY2Plx4ngSpRegMAjDeXH-YndqOIB10LpkSsOU9WJ5tWQpzIxMX0uxYEc7XXs9Lb",
}
const akp: Entry = { kty: "AKP", kid: "akp", alg: "ML-DSA-44", pub: base64url(new Uint8Array(1_312).fill(44)) }

/** Little-endian, as RFC 8032 writes numbers. */
const littleEndian = (value: bigint, length: number): string =>
  base64url(Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 255n)))

const prime25519 = 2n ** 255n - 19n

/** A set of a good key and these entries, which come to nothing. */
const dropped = (title: string, reason: DropReason, ...entries: ReadonlyArray<unknown>): CaseOf => ({
  title,
  answer: jwks([...goodKeys(1, 2), ...entries]),
  expected: { _tag: "Holds", kids: ["static-2"], dropped: entries.map(() => reason) },
})

/** A set of a good key and these entries, all of which stay. */
const kept = (title: string, kids: ReadonlyArray<string>, ...entries: ReadonlyArray<unknown>): CaseOf => ({
  title,
  answer: jwks([...goodKeys(1, 2), ...entries]),
  expected: holds("static-2", ...kids),
})

/** The same set as text, for what JSON.stringify would not write. */
const asText = (title: string, entry: string, expected: Expected): CaseOf => ({
  title,
  answer: response({
    headers: jwksType,
    body: `{"keys":[${JSON.stringify(goodKeys(1, 2)[0])},${entry}]}`,
  }),
  expected,
})

const cases: Readonly<Partial<Record<GuardName, ReadonlyArray<CaseOf>>>> = {
  key_malformed: [
    dropped("entries that are no objects", "Malformed", null, 0, "key", true, [], [p256]),
    dropped("an entry without kty", "Malformed", { ...p256, kty: undefined }),
    dropped("an entry whose kty is no text", "Malformed", { ...p256, kty: ["EC"] }),
  ],
  key_symmetric: [
    dropped("a shared secret", "SymmetricKey", { kty: "oct", kid: "secret", k: "c2VjcmV0" }),
    dropped("a shared secret without its value", "SymmetricKey", { kty: "oct", kid: "secret" }),
    dropped("a shared secret that says it is for RS256", "SymmetricKey", { ...rsa, kty: "oct", alg: "RS256" }),
    asText(
      "a key whose kty occurs twice, the last time as a secret's",
      `{"kty":"EC",${JSON.stringify({ ...p256, kty: undefined }).slice(1, -1)},"kty":"oct"}`,
      { _tag: "Holds", kids: ["static-2"], dropped: ["SymmetricKey"] },
    ),
  ],
  key_private: [
    ...["d", "p", "q", "dp", "dq", "qi"].map((member) =>
      dropped(`an RSA key with the private member ${member}`, "PrivateKey", { ...rsa, [member]: "AQAB" }),
    ),
    dropped("an EC key with its private number", "PrivateKey", { ...p256, d: "AQAB" }),
    dropped("an Edwards key with its private seed", "PrivateKey", { ...ed25519, d: "AQAB" }),
    dropped("an ML-DSA key with its private seed", "PrivateKey", { ...akp, priv: "AQAB" }),
    dropped("a public key with a shared secret beside it", "PrivateKey", { ...p256, k: "c2VjcmV0" }),
    dropped("a private member that is null", "PrivateKey", { ...p256, d: null }),
    asText(
      "a key that has its private number twice, the last time as null",
      `{"d":"AQAB","d":null,${JSON.stringify(p256).slice(1)}`,
      { _tag: "Holds", kids: ["static-2"], dropped: ["PrivateKey"] },
    ),
    asText("a key whose private number is spelled with escapes", `{"\\u0064":"AQAB",${JSON.stringify(p256).slice(1)}`, {
      _tag: "Holds",
      kids: ["static-2"],
      dropped: ["PrivateKey"],
    }),
  ],
  key_type: [
    dropped("a key of a type that nobody knows", "UnsupportedKeyType", { ...p256, kty: "DH" }),
    dropped("a key whose type is in another case", "UnsupportedKeyType", { ...p256, kty: "ec" }),
    dropped("a key whose type has a space behind it", "UnsupportedKeyType", { ...p256, kty: "EC " }),
    dropped("a key whose type is a member of every object", "UnsupportedKeyType", { ...p256, kty: "constructor" }),
  ],
  key_curve: [
    dropped("an EC key of a curve without security", "UnsupportedCurve", { ...p256, crv: "P-192" }),
    dropped("an EC key of Bitcoin's curve", "UnsupportedCurve", { ...p256, crv: "secp256k1" }),
    dropped("an EC key without a curve", "UnsupportedCurve", { ...p256, crv: undefined }),
    dropped("an EC key of an Edwards curve", "UnsupportedCurve", { ...p256, crv: "Ed25519" }),
    dropped("a key for key agreement", "UnsupportedCurve", { ...ed25519, crv: "X25519" }),
    dropped("an Edwards key of a NIST curve", "UnsupportedCurve", { ...ed25519, crv: "P-256" }),
    dropped("a key whose curve is no text", "UnsupportedCurve", { ...p256, crv: ["P-256"] }),
  ],
  key_kid: [
    dropped("a kid that is a number", "InvalidKid", { ...p256, kid: 1 }),
    dropped("a kid that is null", "InvalidKid", { ...p256, kid: null }),
    dropped("a kid that is a list", "InvalidKid", { ...p256, kid: ["static-2"] }),
    dropped("a kid that is an object", "InvalidKid", { ...p256, kid: { toString: "static-2" } }),
  ],
  key_kid_length: [
    dropped("a kid of 1,025 characters", "InvalidKid", { ...p256, kid: "a".repeat(1_025) }),
    dropped("a kid of 342 characters of three bytes each", "InvalidKid", { ...p256, kid: "€".repeat(342) }),
    dropped("a kid of 100 kB", "InvalidKid", { ...p256, kid: "a".repeat(100_000) }),
    kept("a kid of 1,024 characters", ["a".repeat(1_024)], { ...p256, kid: "a".repeat(1_024) }),
    kept(
      "kids that are members of every object",
      ["__proto__", "constructor"],
      { ...p256, kid: "__proto__" },
      {
        ...p256,
        kid: "constructor",
      },
    ),
  ],
  key_use: [
    dropped("a key for encryption", "NotForSignatures", { ...p256, use: "enc" }),
    dropped("a key whose use is in another case", "NotForSignatures", { ...p256, use: "SIG" }),
    dropped("a key whose use is no text", "NotForSignatures", { ...p256, use: ["sig"] }),
    dropped("a key whose use is null", "NotForSignatures", { ...p256, use: null }),
  ],
  key_ops: [
    dropped("a key that may only sign", "NotForSignatures", { ...p256, key_ops: ["sign"] }),
    dropped("a key that may only encrypt", "NotForSignatures", { ...p256, key_ops: ["encrypt", "wrapKey"] }),
    dropped("a key whose operations are a text", "NotForSignatures", { ...p256, key_ops: "verify" }),
    dropped("a key whose operations are not all texts", "NotForSignatures", { ...p256, key_ops: ["verify", 1] }),
    dropped("a key whose operations are an object", "NotForSignatures", { ...p256, key_ops: { verify: true } }),
  ],
  key_alg: [
    ...["none", "None", "", "HS256", "RSA-OAEP", "dir", "ES512", "RS256", "es256", "ES256 ", "EdDSA"].map((alg) =>
      dropped(`a P-256 key for ${JSON.stringify(alg)}`, "AlgorithmMismatch", { ...p256, alg }),
    ),
    ...["none", "HS256", "ES256", "RSA1_5", "RS1"].map((alg) =>
      dropped(`an RSA key for ${alg}`, "AlgorithmMismatch", { ...rsa, alg }),
    ),
    dropped("an Edwards key for ES256", "AlgorithmMismatch", { ...ed25519, alg: "ES256" }),
    dropped("an Ed25519 key for Ed448", "AlgorithmMismatch", { ...ed25519, alg: "Ed448" }),
    dropped("a key whose algorithm is no text", "AlgorithmMismatch", { ...p256, alg: ["ES256"] }),
    dropped("a key whose algorithm is null", "AlgorithmMismatch", { ...p256, alg: null }),
  ],
  key_alg_required: [dropped("an ML-DSA key that does not say which", "AlgorithmMismatch", { ...akp, alg: undefined })],
  key_alg_allowed: [
    {
      ...dropped("a key for an algorithm that the registration does not list", "AlgorithmNotAllowed", rsa),
      registration: { algorithms: ["ES256"] },
    },
    {
      ...dropped("a key for PS256 where RS256 is listed", "AlgorithmNotAllowed", { ...rsa, alg: "PS256" }),
      registration: { algorithms: ["ES256", "RS256"] },
    },
  ],
  rsa_multi_prime: [
    dropped("an RSA key of more than two primes", "RsaMultiPrime", { ...rsa, oth: [{ r: "AQAB" }] }),
    dropped("an RSA key whose further primes are no list", "RsaMultiPrime", { ...rsa, oth: {} }),
  ],
  key_encoding: [
    dropped("an RSA key whose modulus is no base64url", "InvalidEncoding", { ...rsa, n: `${modulus(2_048)}!` }),
    dropped("an RSA key without a modulus", "InvalidEncoding", { ...rsa, n: undefined }),
    dropped("an RSA key without an exponent", "InvalidEncoding", { ...rsa, e: undefined }),
    dropped("an RSA key whose exponent is a number", "InvalidEncoding", { ...rsa, e: 65_537 }),
    dropped("an RSA key whose modulus is a list of bytes", "InvalidEncoding", { ...rsa, n: [1, 2, 3] }),
    dropped("an EC key without y", "InvalidEncoding", { ...p256, y: undefined }),
    dropped("an EC key whose x has padding in the middle", "InvalidEncoding", { ...p256, x: "AA==AA" }),
    dropped("an EC key whose x has a digit too many", "InvalidEncoding", { ...p256, x: "AAAAA" }),
    dropped("an Edwards key whose x is in hexadecimal with a prefix", "InvalidEncoding", { ...ed25519, x: "0x!d7" }),
    dropped("an Edwards key with characters beyond ASCII", "InvalidEncoding", { ...ed25519, x: "ÄÖÜ" }),
  ],
  rsa_min_bits: [
    dropped("an RSA key of 2,047 bits", "RsaModulusTooSmall", { ...rsa, n: modulus(2_047) }),
    dropped("an RSA key of 1,024 bits", "RsaModulusTooSmall", { ...rsa, n: modulus(1_024) }),
    dropped("an RSA key of 512 bits", "RsaModulusTooSmall", { ...rsa, n: modulus(512) }),
    dropped("an RSA key with an empty modulus", "RsaModulusTooSmall", { ...rsa, n: "" }),
    dropped("an RSA key of modulus 0", "RsaModulusTooSmall", { ...rsa, n: base64url(new Uint8Array(256)) }),
    dropped("an RSA key of 1,024 bits behind zeros", "RsaModulusTooSmall", {
      ...rsa,
      n: base64url(Buffer.concat([new Uint8Array(128), Buffer.from(modulus(1_024), "base64url")])),
    }),
    {
      ...dropped("an RSA key of 2,048 bits where 3,072 are asked for", "RsaModulusTooSmall", rsa),
      registration: { minRsaBits: 3_072 },
    },
  ],
  rsa_max_bits: [
    dropped("an RSA key of 8,193 bits", "RsaModulusTooLarge", { ...rsa, n: modulus(8_193) }),
    dropped("an RSA key of 65,536 bits, which takes seconds to verify with", "RsaModulusTooLarge", {
      ...rsa,
      n: modulus(65_536),
    }),
    kept("an RSA key of 8,192 bits", ["rsa"], { ...rsa, n: modulus(8_192) }),
  ],
  rsa_even: [dropped("an RSA key with an even modulus", "RsaModulusEven", { ...rsa, n: modulus(2_048, 0) })],
  rsa_exponent: [
    dropped("an RSA key of exponent 1, under which everything is a signature", "RsaExponentInvalid", {
      ...rsa,
      e: "AQ",
    }),
    dropped("an RSA key of exponent 0", "RsaExponentInvalid", { ...rsa, e: "AA" }),
    dropped("an RSA key of exponent 2", "RsaExponentInvalid", { ...rsa, e: "Ag" }),
    dropped("an RSA key of an even exponent", "RsaExponentInvalid", { ...rsa, e: "AQAA" }),
    dropped("an RSA key with an empty exponent", "RsaExponentInvalid", { ...rsa, e: "" }),
  ],
  rsa_exponent_length: [
    dropped("an RSA key of an exponent of 33 bits", "RsaExponentInvalid", { ...rsa, e: "AQAAAAE" }),
    dropped("an RSA key whose exponent is as long as its modulus", "RsaExponentInvalid", { ...rsa, e: modulus(2_048) }),
  ],
  ec_length: [
    dropped("an EC key whose x is a byte short", "InvalidPoint", { ...p256, x: base64url(new Uint8Array(31).fill(7)) }),
    dropped("an EC key whose x has a zero in front", "InvalidPoint", {
      ...p256,
      x: base64url(Buffer.concat([Uint8Array.of(0), Buffer.from(String(p256["x"]), "base64url")])),
    }),
    dropped("an EC key with the point of another curve", "InvalidPoint", { ...p384, crv: "P-256" }),
    dropped("an EC key whose coordinates are empty", "InvalidPoint", { ...p256, x: "", y: "" }),
    dropped("an EC key whose x is 64 kB long", "InvalidPoint", { ...p256, x: "A".repeat(65_536) }),
  ],
  ec_on_curve: [
    dropped("an EC key whose point is not on its curve", "InvalidPoint", { ...p256, y: p256["x"] }),
    dropped("an EC key of the point (0, 0)", "InvalidPoint", {
      ...p256,
      x: base64url(new Uint8Array(32)),
      y: base64url(new Uint8Array(32)),
    }),
    dropped("a P-384 key whose point is not on its curve", "InvalidPoint", { ...p384, y: p384["x"] }),
  ],
  ec_in_field: [
    dropped("an EC key whose coordinates are beyond the field", "InvalidPoint", {
      ...p256,
      // (0, sqrt(b)), with x written as the prime itself.
      x: base64url(Buffer.from("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", "hex")),
      y: base64url(Buffer.from("66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4", "hex")),
    }),
  ],
  edwards_length: [
    dropped("an Ed25519 key that is a byte short", "InvalidPoint", { ...ed25519, x: base64url(new Uint8Array(31)) }),
    dropped("an Ed448 key in an Ed25519 key", "InvalidPoint", { ...ed448, crv: "Ed25519" }),
    dropped("an Ed25519 key in an Ed448 key", "InvalidPoint", { ...ed25519, crv: "Ed448" }),
    dropped("an empty Ed25519 key", "InvalidPoint", { ...ed25519, x: "" }),
  ],
  edwards_on_curve: [
    dropped("an Ed25519 key that is no point of its curve", "InvalidPoint", { ...ed25519, x: littleEndian(2n, 32) }),
    dropped("an Ed448 key that is no point of its curve", "InvalidPoint", { ...ed448, x: littleEndian(2n, 57) }),
  ],
  edwards_in_field: [
    dropped("an Ed25519 key that is written beyond the field", "InvalidPoint", {
      ...ed25519,
      x: littleEndian(prime25519 + 3n, 32),
    }),
  ],
  edwards_small_order: [
    dropped(
      "Ed25519 keys of order 1 and 2, for which anybody can sign",
      "InvalidPoint",
      ...[1n, prime25519 - 1n].map((y) => ({ ...ed25519, x: littleEndian(y, 32) })),
    ),
    dropped(
      "Ed25519 keys of order 4",
      "InvalidPoint",
      ...[0n, 2n ** 255n].map((y) => ({
        ...ed25519,
        x: littleEndian(y, 32),
      })),
    ),
    dropped("an Ed25519 key of order 8", "InvalidPoint", {
      ...ed25519,
      x: base64url(Buffer.from("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "hex")),
    }),
    dropped(
      "Ed448 keys of small order",
      "InvalidPoint",
      ...[0n, 1n].map((y) => ({ ...ed448, x: littleEndian(y, 57) })),
    ),
  ],
  akp_length: [
    dropped("an ML-DSA key that is a byte short", "InvalidPublicKey", {
      ...akp,
      pub: base64url(new Uint8Array(1_311)),
    }),
    dropped("an ML-DSA-44 key for ML-DSA-87", "InvalidPublicKey", { ...akp, alg: "ML-DSA-87" }),
    dropped("an ML-DSA key that is empty", "InvalidPublicKey", { ...akp, pub: "" }),
  ],
  key_proto: [
    asText(
      "a key with a member __proto__",
      `{"__proto__":{"polluted":true},${JSON.stringify(p256).slice(1)}`,
      holds("static-2", "p256"),
    ),
    asText(
      "a key whose kty is in its prototype",
      `{"__proto__":{"kty":"EC"},${JSON.stringify({ ...p256, kty: undefined }).slice(1)}`,
      { _tag: "Holds", kids: ["static-2"], dropped: ["Malformed"] },
    ),
    asText(
      "a key with a constructor that has a prototype",
      `{"constructor":{"prototype":{"polluted":true}},${JSON.stringify(p256).slice(1)}`,
      holds("static-2", "p256"),
    ),
  ],
  answers_frozen: [
    kept("a key with lists and objects in members that nobody knows", ["p256"], {
      ...p256,
      key_ops: ["verify"],
      x5c: ["MIIB"],
      other: { list: [{ deep: [1] }] },
    }),
    asText(
      "a key with a member that nests 1,000 deep",
      `{"deep":${"[".repeat(1_000)}${"]".repeat(1_000)},${JSON.stringify(p256).slice(1)}`,
      holds("static-2", "p256"),
    ),
  ],
  key_one_by_one: [
    dropped("a good key before 500 entries that are none", "Malformed", ...Array.from({ length: 500 }, () => null)),
  ],
  key_twice: [kept("the same key three times", ["p256"], p256, p256, { ...p256, x5t: "AQAB" })],
  key_ambiguous: [
    {
      title: "two different keys under one kid and for one algorithm",
      answer: jwks([...goodKeys(1, 2), { ...goodKeys(1, 3)[0], kid: "static-2" }]),
      expected: { _tag: "Withholds", kid: "static-2", error: "KeyAmbiguous" },
    },
  ],
}

export const keyCases: ReadonlyArray<HostileCase> = [
  ...(Object.entries(cases) as ReadonlyArray<[GuardName, ReadonlyArray<CaseOf>]>).flatMap(([guard, list]) =>
    about(guard, ...list),
  ),
]
