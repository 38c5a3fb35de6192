/**
 * The numbers that make up a public key: whether they are what they claim to be, and their canonical
 * spelling. Importing is no substitute: common libraries import even moduli and exponents of 1.
 */
import * as Result from "effect/Result"
import { decode, encode } from "./Base64url.ts"
import { isEdwardsPoint, isNistPoint } from "./CurvePoint.ts"
import type { DropReason } from "./Jwks.ts"
import type { KeyKind } from "./KeyKind.ts"

/** A key's number members by name, in canonical base64url. */
export type PublicNumbers = Readonly<Record<string, string>>

type Members = Readonly<Record<string, unknown>>

const maxRsaBits = 8192
const maxExponentBits = 32
/** FIPS 204 table 2. */
const mlDsaKeyBytes = new Map<unknown, number>([
  ["ML-DSA-44", 1312],
  ["ML-DSA-65", 1952],
  ["ML-DSA-87", 2592],
])

const bytesOf = (member: unknown): Uint8Array | undefined => (typeof member === "string" ? decode(member) : undefined)

const withoutLeadingZeros = (bytes: Uint8Array): Uint8Array => {
  const first = bytes.findIndex((byte) => byte !== 0)
  return first === -1 ? bytes.subarray(bytes.length) : bytes.subarray(first)
}

/** Bits of a big-endian number without leading zeros. */
const bitLength = (bytes: Uint8Array): number => {
  const [first] = bytes
  return first === undefined ? 0 : 32 - Math.clz32(first) + 8 * (bytes.length - 1)
}

const isEven = (bytes: Uint8Array): boolean => ((bytes.at(-1) ?? 0) & 1) === 0

/** RFC 7518 section 6.3.1. */
const rsaNumbers = (key: Members, minRsaBits: number): Result.Result<PublicNumbers, DropReason> => {
  if (key["oth"] !== undefined && !(Array.isArray(key["oth"]) && key["oth"].length === 0))
    return Result.fail("RsaMultiPrime")
  const modulus = bytesOf(key["n"])
  const exponent = bytesOf(key["e"])
  if (modulus === undefined || exponent === undefined) return Result.fail("InvalidEncoding")
  const n = withoutLeadingZeros(modulus)
  const e = withoutLeadingZeros(exponent)
  if (bitLength(n) < minRsaBits) return Result.fail("RsaModulusTooSmall")
  if (bitLength(n) > maxRsaBits) return Result.fail("RsaModulusTooLarge")
  if (isEven(n)) return Result.fail("RsaModulusEven")
  // An odd number of two bits or more is at least 3.
  if (isEven(e) || bitLength(e) < 2 || bitLength(e) > maxExponentBits) return Result.fail("RsaExponentInvalid")
  return Result.succeed({ n: encode(n), e: encode(e) })
}

/** The canonical numbers of a key, or what is wrong with them (RFC 7518 section 6, RFC 8037 section 2, RFC 9964). */
export const publicNumbers = (
  kind: KeyKind,
  key: Members,
  minRsaBits: number,
): Result.Result<PublicNumbers, DropReason> => {
  switch (kind) {
    case "RSA":
      return rsaNumbers(key, minRsaBits)
    case "P-256":
    case "P-384":
    case "P-521": {
      const x = bytesOf(key["x"])
      const y = bytesOf(key["y"])
      if (x === undefined || y === undefined) return Result.fail("InvalidEncoding")
      return isNistPoint(kind, x, y) ? Result.succeed({ x: encode(x), y: encode(y) }) : Result.fail("InvalidPoint")
    }
    case "Ed25519":
    case "Ed448": {
      const x = bytesOf(key["x"])
      if (x === undefined) return Result.fail("InvalidEncoding")
      return isEdwardsPoint(kind, x) ? Result.succeed({ x: encode(x) }) : Result.fail("InvalidPoint")
    }
    case "AKP": {
      const pub = bytesOf(key["pub"])
      if (pub === undefined) return Result.fail("InvalidEncoding")
      return pub.length === mlDsaKeyBytes.get(key["alg"])
        ? Result.succeed({ pub: encode(pub) })
        : Result.fail("InvalidPublicKey")
    }
  }
}
