/**
 * Whether a public key is a point of its curve: FIPS 186-5 and SP 800-186 for the NIST curves, RFC
 * 8032 for the Edwards curves. A library that verifies with other points may leak or accept too much.
 */
import { bytesToHex } from "@noble/hashes/utils.js"
import { squareTest } from "./JacobiSymbol.ts"

const integer = (bigEndian: Uint8Array): bigint => BigInt(`0x${bytesToHex(bigEndian)}`)

const modulo = (value: bigint, prime: bigint): bigint => {
  const rest = value % prime
  return rest < 0n ? rest + prime : rest
}

// -----------------------------------------------------------------------------
// y^2 = x^3 - 3x + b
// -----------------------------------------------------------------------------

interface NistCurve {
  /** Length of a coordinate (RFC 7518 section 6.2.1.2). */
  readonly bytes: number
  readonly prime: bigint
  readonly b: bigint
}

const nistCurves = {
  "P-256": {
    bytes: 32,
    prime: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  "P-384": {
    bytes: 48,
    prime: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  "P-521": {
    bytes: 66,
    prime: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
} satisfies Record<string, NistCurve>

/** A NIST curve by its `crv` name. */
export type NistCurveName = keyof typeof nistCurves

/**
 * Whether (x, y), big-endian, is a point of the curve. All three curves have cofactor 1, so every such
 * point generates the whole group.
 */
export const isNistPoint = (curve: NistCurveName, x: Uint8Array, y: Uint8Array): boolean => {
  const { b, bytes, prime } = nistCurves[curve]
  if (x.length !== bytes || y.length !== bytes) return false
  const X = integer(x)
  const Y = integer(y)
  return X < prime && Y < prime && (Y * Y - (X * X - 3n) * X - b) % prime === 0n
}

// -----------------------------------------------------------------------------
// a x^2 + y^2 = 1 + d x^2 y^2
// -----------------------------------------------------------------------------

interface EdwardsCurve {
  /** Length of a public key (RFC 8032 sections 5.1.5 and 5.2.5). */
  readonly bytes: number
  readonly prime: bigint
  readonly a: bigint
  readonly d: bigint
  /** y of the points whose order divides the cofactor. */
  readonly smallOrder: ReadonlySet<bigint>
  readonly isSquare: (value: bigint) => boolean
}

const prime25519 = 2n ** 255n - 19n
/** y of four of the eight points of order dividing 8; the others of that order have its negative. */
const order8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n
const prime448 = 2n ** 448n - 2n ** 224n - 1n

const edwardsCurves = {
  Ed25519: {
    bytes: 32,
    prime: prime25519,
    a: -1n,
    d: 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n,
    smallOrder: new Set([0n, 1n, prime25519 - 1n, order8, prime25519 - order8]),
    isSquare: squareTest(prime25519),
  },
  Ed448: {
    bytes: 57,
    prime: prime448,
    a: 1n,
    d: -39081n,
    smallOrder: new Set([0n, 1n, prime448 - 1n]),
    isSquare: squareTest(prime448),
  },
} satisfies Record<string, EdwardsCurve>

/** An Edwards curve by its `crv` name. */
export type EdwardsCurveName = keyof typeof edwardsCurves

/**
 * Whether `encoded` (RFC 8032 section 5.1.2 or 5.2.2) is a point of the curve whose order is not small.
 *
 * **Details**
 *
 * Of a key of small order anybody can make signatures; only a handful of y values have it. Whether the
 * point lies in the subgroup of prime order is not checked: that takes a scalar multiplication, and
 * RFC 8032 does not ask for it.
 */
export const isEdwardsPoint = (curve: EdwardsCurveName, encoded: Uint8Array): boolean => {
  const { a, bytes, d, isSquare, prime, smallOrder } = edwardsCurves[curve]
  if (encoded.length !== bytes) return false
  const bigEndian = encoded.toReversed()
  // The highest bit is the sign of x.
  bigEndian[0] = (bigEndian[0] ?? 0) & 0x7f
  const y = integer(bigEndian)
  if (y >= prime || smallOrder.has(y)) return false
  // x^2 = (y^2 - 1) / (d y^2 - a); the quotient is a square where the product is.
  const ySquared = (y * y) % prime
  return isSquare(modulo((ySquared - 1n) * modulo(d * ySquared - a, prime), prime))
}
