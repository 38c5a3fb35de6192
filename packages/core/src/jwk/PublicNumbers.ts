/**
 * The numbers that make up a public key: whether they are what they claim to be, and their canonical
 * spelling. Importing is no substitute: common libraries import even moduli and exponents of 1.
 */
import * as Result from "effect/Result"
import { type Base64urlNumber, encode, read } from "./Base64url.ts"
import { isEdwardsPoint, isNistPoint } from "./CurvePoint.ts"
import type { Jwk } from "./Jwk.ts"
import type { DropReason } from "./Jwks.ts"
import type { KeyKind } from "./KeyKind.ts"
import { Room } from "./Room.ts"

/** A key's numbers in canonical base64url; those of its kind. */
export type PublicNumbers = Pick<Jwk, "n" | "e" | "x" | "y" | "pub">

type Members = Readonly<Record<string, unknown>>

const maxRsaBits = 8192
const maxExponentBits = 32
/** FIPS 204 table 2. */
const mlDsaKeyBytes = new Map<unknown, number>([
  ["ML-DSA-44", 1312],
  ["ML-DSA-65", 1952],
  ["ML-DSA-87", 2592],
])

// A key has at most two numbers, and one key is judged at a time.
const firstRoom = new Room(new Uint8Array(2_592))
const secondRoom = new Room(new Uint8Array(2_592))

const numberOf = (member: unknown, room: Room): Base64urlNumber | undefined =>
  typeof member === "string" ? read(member, room) : undefined

const canonicalText = ({ bytes, isCanonical, text }: Base64urlNumber): string => (isCanonical ? text : encode(bytes))

const withoutLeadingZeros = (bytes: Uint8Array): Uint8Array => {
  let zeros = 0
  while (zeros < bytes.length && bytes[zeros] === 0) zeros++
  return zeros === 0 ? bytes : bytes.subarray(zeros)
}

/** Bits of a big-endian number without leading zeros. */
const bitLength = (bytes: Uint8Array): number =>
  bytes.length === 0 ? 0 : 32 - Math.clz32(bytes[0] ?? 0) + 8 * (bytes.length - 1)

const isEven = (bytes: Uint8Array): boolean => ((bytes.at(-1) ?? 0) & 1) === 0

/** RFC 7518 section 6.3.1. */
const rsaNumbers = (key: Members, minRsaBits: number): Result.Result<PublicNumbers, DropReason> => {
  if (key["oth"] !== undefined && !(Array.isArray(key["oth"]) && key["oth"].length === 0))
    return Result.fail("RsaMultiPrime")
  const modulus = numberOf(key["n"], firstRoom)
  const exponent = numberOf(key["e"], secondRoom)
  if (modulus === undefined || exponent === undefined) return Result.fail("InvalidEncoding")
  const n = withoutLeadingZeros(modulus.bytes)
  const e = withoutLeadingZeros(exponent.bytes)
  if (bitLength(n) < minRsaBits) return Result.fail("RsaModulusTooSmall")
  if (bitLength(n) > maxRsaBits) return Result.fail("RsaModulusTooLarge")
  if (isEven(n)) return Result.fail("RsaModulusEven")
  // An odd number of two bits or more is at least 3.
  if (isEven(e) || bitLength(e) < 2 || bitLength(e) > maxExponentBits) return Result.fail("RsaExponentInvalid")
  return Result.succeed({
    n: n === modulus.bytes ? canonicalText(modulus) : encode(n),
    e: e === exponent.bytes ? canonicalText(exponent) : encode(e),
  })
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
      const x = numberOf(key["x"], firstRoom)
      const y = numberOf(key["y"], secondRoom)
      if (x === undefined || y === undefined) return Result.fail("InvalidEncoding")
      return isNistPoint(kind, x.bytes, y.bytes)
        ? Result.succeed({ x: canonicalText(x), y: canonicalText(y) })
        : Result.fail("InvalidPoint")
    }
    case "Ed25519":
    case "Ed448": {
      const x = numberOf(key["x"], firstRoom)
      if (x === undefined) return Result.fail("InvalidEncoding")
      return isEdwardsPoint(kind, x.bytes) ? Result.succeed({ x: canonicalText(x) }) : Result.fail("InvalidPoint")
    }
    case "AKP": {
      const pub = numberOf(key["pub"], firstRoom)
      if (pub === undefined) return Result.fail("InvalidEncoding")
      return pub.bytes.length === mlDsaKeyBytes.get(key["alg"])
        ? Result.succeed({ pub: canonicalText(pub) })
        : Result.fail("InvalidPublicKey")
    }
  }
}
