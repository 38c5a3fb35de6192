/**
 * Many distinct public keys, at once and the same in every run: the multiples of P-256's base point.
 */
import { base64url } from "jose"
import type { JWK } from "jose"

/** A point of P-256 other than infinity, in affine coordinates. */
interface Point {
  readonly x: bigint
  readonly y: bigint
}

// The field and the base point of P-256 (NIST SP 800-186 section 3.2.1.3); the curve is y² = x³ - 3x + b.
const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
const base: Point = {
  x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
}

const reduce = (n: bigint): bigint => ((n % p) + p) % p

/** The inverse modulo `p`, by the extended Euclidean algorithm. */
const invert = (n: bigint): bigint => {
  let [r0, r1, s0, s1] = [reduce(n), p, 1n, 0n]
  while (r0 !== 1n) {
    const q = r1 / r0
    ;[r0, r1, s0, s1] = [r1 - q * r0, r0, s1 - q * s0, s0]
  }
  return reduce(s0)
}

/** The third point on the line through `a` with this slope, mirrored: the sum of the two others. */
const along = (slope: bigint, a: Point, x: bigint): Point => {
  const sum = reduce(slope * slope - a.x - x)
  return { x: sum, y: reduce(slope * (a.x - sum) - a.y) }
}

const double = (a: Point): Point => along(reduce((3n * a.x * a.x - 3n) * invert(2n * a.y)), a, a.x)

const addBase = (a: Point): Point => along(reduce((base.y - a.y) * invert(base.x - a.x)), a, base.x)

// multiples[n - 1] is n times the base point; grows as far as anybody asked.
const multiples: Array<Point> = [base, double(base)]

const growTo = (n: number): void => {
  for (let last = multiples.at(-1) ?? base; multiples.length < n; multiples.push(last)) last = addBase(last)
}

const coordinate = (n: bigint): string =>
  base64url.encode(Uint8Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(8 * (31 - i))) & 255n)))

/** Which static keys, and how they are named. */
export interface StaticKeysOptions {
  /** Number of the first key, from 1; for sets that do not overlap. Default: 1. */
  readonly from?: number
  /** What precedes the key's number in its `kid`. Default: `static-`. */
  readonly kidPrefix?: string
}

/**
 * Distinct public ES256 keys, valid points of P-256, without generating anything.
 *
 * **Details**
 *
 * Synchronous, and the same in every run: key number n is n times the curve's base point. About 30 ms
 * for the first thousand, nothing for those that were asked for before.
 *
 * **Gotchas**
 *
 * Their private keys are the numbers 1, 2, 3: everybody knows them. For tests alone.
 *
 * **Example** (A set of 800 keys)
 *
 * ```ts
 * import { staticKeys } from "@effect-jwks/testing"
 *
 * const jwks = { keys: staticKeys(800) }
 * jwks.keys[0]?.kid // => "static-1"
 * ```
 */
export const staticKeys = (
  count: number,
  options: StaticKeysOptions = {},
): ReadonlyArray<JWK & { readonly kid: string }> => {
  const { from = 1, kidPrefix = "static-" } = options
  if (!Number.isInteger(from) || from < 1) throw new RangeError("from: write a whole number from 1")
  growTo(from - 1 + count)
  return multiples.slice(from - 1, from - 1 + count).map(({ x, y }, i) => ({
    kty: "EC",
    crv: "P-256",
    x: coordinate(x),
    y: coordinate(y),
    use: "sig",
    alg: "ES256",
    kid: `${kidPrefix}${from + i}`,
  }))
}
