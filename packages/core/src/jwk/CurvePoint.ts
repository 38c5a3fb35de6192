/**
 * Whether a public key is a point of its curve: FIPS 186-5 and SP 800-186 for the NIST curves, RFC
 * 8032 for the Edwards curves. A library that verifies with other points may leak or accept too much.
 */
import { squareTest } from "./JacobiSymbol.ts"
import { readLimbs } from "./Limbs.ts"
import { type PrimeField, primeField } from "./PrimeField.ts"

/** Room for 66 bytes, the longest coordinate, in whole words of 64 bits. */
const room = new Uint8Array(72)
const words = new DataView(room.buffer)

/** A word at a time, since BigInt reads no bytes and hexadecimal text takes twice as long. */
const fromBigEndian = (bytes: Uint8Array): bigint => {
  const end = 8 * Math.ceil(bytes.length / 8)
  words.setBigUint64(0, 0n)
  room.set(bytes, end - bytes.length)
  let value = 0n
  for (let i = 0; i < end; i += 8) value = (value << 64n) | words.getBigUint64(i)
  return value
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
  const X = fromBigEndian(x)
  const Y = fromBigEndian(y)
  return X < prime && Y < prime && (Y * Y - (X * X - 3n) * X - b) % prime === 0n
}

// -----------------------------------------------------------------------------
// a x^2 + y^2 = 1 + (n/m) x^2 y^2
// -----------------------------------------------------------------------------

/** A curve of RFC 8032, which calls n/m d. */
interface EdwardsCurve {
  /** Length of a public key (RFC 8032 sections 5.1.5 and 5.2.5). */
  readonly bytes: number
  readonly prime: bigint
  readonly field: PrimeField
  readonly a: number
  readonly n: number
  readonly m: number
  /** y of the points whose order divides the cofactor. */
  readonly smallOrder: ReadonlyArray<bigint>
}

const prime25519 = 2n ** 255n - 19n
/** y of four of the eight points of order dividing 8; the others of that order have its negative. */
const order8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n
const prime448 = 2n ** 448n - 2n ** 224n - 1n

/** The bytes of a number, the lowest first. */
const littleEndian = (value: bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  return i === a.length
}

/** Whether a < b, for numbers of as many bytes, the lowest first. */
const isLess = (a: Uint8Array, b: Uint8Array): boolean => {
  let i = a.length - 1
  while (i > 0 && a[i] === b[i]) i--
  return (a[i] ?? 0) < (b[i] ?? 0)
}

const edwardsPointTest = (curve: EdwardsCurve): ((encoded: Uint8Array) => boolean) => {
  const { a, bytes, field, m, n } = curve
  const prime = littleEndian(curve.prime, bytes)
  const smallOrder = curve.smallOrder.map((y) => littleEndian(y, bytes))
  const limbsOf = (value: bigint) => {
    const limbs = field.make()
    readLimbs(littleEndian(value, bytes), limbs)
    return limbs
  }
  const isSquare = squareTest(limbsOf(curve.prime))
  const isSquareM = isSquare(limbsOf(BigInt(m)))
  const y = new Uint8Array(bytes)
  const numerator = field.make()
  const denominator = field.make()

  return (encoded) => {
    if (encoded.length !== bytes) return false
    y.set(encoded)
    // The highest bit is the sign of x.
    y[bytes - 1] = (y[bytes - 1] ?? 0) & 0x7f
    if (!isLess(y, prime)) return false
    for (const other of smallOrder) if (isEqual(y, other)) return false
    // x^2 = (y^2 - 1) / ((n/m) y^2 - a) = m (y^2 - 1) / (n y^2 - m a)
    readLimbs(y, numerator)
    field.multiply(numerator, numerator, numerator)
    for (let i = 0; i < denominator.length; i++) denominator[i] = n * (numerator[i] ?? 0)
    numerator[0] = (numerator[0] ?? 0) - 1
    denominator[0] = (denominator[0] ?? 0) - m * a
    field.reduce(denominator)
    // A quotient is a square where the product is.
    field.multiply(numerator, denominator, numerator)
    return isSquare(numerator) === isSquareM
  }
}

const edwardsPointTests = {
  Ed25519: edwardsPointTest({
    bytes: 32,
    prime: prime25519,
    field: primeField(255, [{ factor: 19, exponent: 0 }]),
    a: -1,
    n: -121_665,
    m: 121_666,
    smallOrder: [0n, 1n, prime25519 - 1n, order8, prime25519 - order8],
  }),
  Ed448: edwardsPointTest({
    bytes: 57,
    prime: prime448,
    field: primeField(448, [
      { factor: 1, exponent: 224 },
      { factor: 1, exponent: 0 },
    ]),
    a: 1,
    n: -39_081,
    m: 1,
    smallOrder: [0n, 1n, prime448 - 1n],
  }),
}

/** An Edwards curve by its `crv` name. */
export type EdwardsCurveName = keyof typeof edwardsPointTests

/**
 * Whether `encoded` (RFC 8032 section 5.1.2 or 5.2.2) is a point of the curve whose order is not small.
 *
 * **Details**
 *
 * Of a key of small order anybody can make signatures; only a handful of y values have it. Whether the
 * point lies in the subgroup of prime order is not checked: that takes a scalar multiplication, and
 * RFC 8032 does not ask for it.
 */
export const isEdwardsPoint = (curve: EdwardsCurveName, encoded: Uint8Array): boolean =>
  edwardsPointTests[curve](encoded)
