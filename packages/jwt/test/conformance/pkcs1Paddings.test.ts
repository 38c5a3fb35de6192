/**
 * RSASSA-PKCS1-v1_5 signatures over every wrong encoding that forgers have got past somebody (RFC 8017 section 9.2;
 * Bleichenbacher's attack of 2006 and its offspring), made with the private key itself: the faults of Wycheproof's vectors
 * 46 to 344 by name, over one that is right.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { base64url, encodePart, pairFor } from "../forge.ts"
import { setUp, startSeconds } from "../support.ts"

const input = `${encodePart({ alg: "RS256", kid: "1" })}.${encodePart({
  iss: "https://idp.test",
  exp: startSeconds + 600,
})}`

const digest = (algorithm: string) => [...createHash(algorithm).update(input).digest()]
const sha256 = digest("sha256")

/** Bytes of a modulus of 2048 bits. */
const size = 256

/** DER: tag, length, contents. */
const der = (tag: number, ...contents: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => {
  const bytes = contents.flat()
  return [tag, bytes.length, ...bytes]
}
const sequence = (...contents: ReadonlyArray<ReadonlyArray<number>>) => der(0x30, ...contents)
const oidSha256 = der(6, [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01])
const oidSha384 = der(6, [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02])
const oidSha1 = der(6, [0x2b, 0x0e, 0x03, 0x02, 0x1a])
const nothing = der(5)
const algorithm = sequence(oidSha256, nothing)
const octets = (bytes: ReadonlyArray<number>) => der(4, bytes)
const right = sequence(algorithm, octets(sha256))

/** Contents behind the padding that they have to have. */
const padded = (contents: ReadonlyArray<number>, fill = 0xff, type = 1): ReadonlyArray<number> => [
  0,
  type,
  ...Array.from({ length: size - 3 - contents.length }, () => fill),
  0,
  ...contents,
]

/** Contents with their second byte, the length, written in another way. */
const withLength = (contents: ReadonlyArray<number>, ...length: ReadonlyArray<number>) => [
  ...contents.slice(0, 1),
  ...length,
  ...contents.slice(2),
]

const garbage = Array.from({ length: 100 }, (_, i) => (i * 37 + 11) % 256)

/** Short padding, the right contents, and garbage to the end: what a lazy reader takes. */
const forgedTail = (ones: number): ReadonlyArray<number> => {
  const head = [0, 1, ...Array.from({ length: ones }, () => 0xff), 0, ...right]
  return [...head, ...Array.from({ length: size - head.length }, (_, i) => (i * 91 + 7) % 256)]
}

const encodings: Readonly<Record<string, ReadonlyArray<number>>> = {
  "garbage after 8 bytes of padding (Bleichenbacher 2006)": forgedTail(8),
  "garbage after 1 byte of padding": forgedTail(1),
  "garbage and no padding": forgedTail(0),
  "padding of zeros": padded(right, 0),
  "padding of other bytes": padded(right, 0xfe),
  "padding with one other byte": padded(right).with(100, 0xfe),
  "padding with a zero in it": padded(right).with(100, 0),
  "type 0": padded(right, 0xff, 0),
  "type 2, as for encryption": padded(right, 0xff, 2),
  "a first byte that is not 0": padded(right).with(0, 1),
  "no zero after the padding": padded(right).with(size - right.length - 1, 0xff),
  "no padding, contents to the left": [0, 1, 0, ...right, ...Array.from({ length: size - right.length - 3 }, () => 0)],
  lengthOfSequenceUsesLongFormEncoding: padded(withLength(right, 0x81, right.length - 2)),
  lengthOfSequenceContainsALeading0: padded(withLength(right, 0x82, 0, right.length - 2)),
  lengthOfSequenceUses50InsteadOf49: padded(withLength(right, right.length - 1)),
  lengthOfSequenceUses48InsteadOf49: padded(withLength(right, right.length - 3)),
  uint32OverflowInLengthOfSequence: padded(withLength(right, 0x85, 1, 0, 0, 0, right.length - 2)),
  uint64OverflowInLengthOfSequence: padded(withLength(right, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, right.length - 2)),
  lengthOfSequenceIs2to31sub1: padded(withLength(right, 0x84, 0x7f, 0xff, 0xff, 0xff)),
  lengthOfSequenceIs2to31: padded(withLength(right, 0x84, 0x80, 0, 0, 0)),
  lengthOfSequenceIs2to32sub1: padded(withLength(right, 0x84, 0xff, 0xff, 0xff, 0xff)),
  lengthOfSequenceIs2to64sub1: padded(withLength(right, 0x88, ...Array.from({ length: 8 }, () => 0xff))),
  incorrectLengthOfSequence: padded(withLength(right, 0xff)),
  replacedSequenceByAnIndefiniteLengthTagWithoutTermination: padded(withLength(right, 0x80)),
  "an indefinite length with termination": padded([...withLength(right, 0x80), 0, 0]),
  removingSequence: padded([]),
  lonelySequenceTag: padded([0x30]),
  "appending0'sToSequence": padded(sequence(algorithm, octets(sha256), [0, 0])),
  "prepending0'sToSequence": padded(sequence([0, 0], algorithm, octets(sha256))),
  "appendingUnused0'sToSequence": padded([...right, 0, 0]),
  appendingNullValueToSequence: padded(sequence(algorithm, octets(sha256), nothing)),
  appendingGarbageToSequence: padded(sequence(algorithm, octets(sha256), garbage.slice(0, 20))),
  prependingGarbageToSequence: padded(sequence(der(4, garbage.slice(0, 20)), algorithm, octets(sha256))),
  includingUndefinedTags: padded(sequence(der(0xaa, [0xbb, 0]), algorithm, octets(sha256))),
  changingTagValueOfSequence: padded(right.with(0, 0x31)),
  "a constructed octet string": padded(sequence(algorithm, der(0x24, octets(sha256)))),
  "algorithm: garbage behind the parameters (Kühn and others 2008)": padded(
    sequence(sequence(oidSha256, nothing, octets(garbage)), octets(sha256)),
  ),
  "algorithm: garbage in place of the parameters": padded(
    sequence(sequence(oidSha256, octets(garbage)), octets(sha256)),
  ),
  "algorithm: parameters that are not empty": padded(sequence(sequence(oidSha256, der(5, [0])), octets(sha256))),
  changingTagValueOfNull: padded(sequence(sequence(oidSha256, [4, 0]), octets(sha256))),
  composedNull: padded(sequence(sequence(oidSha256, [0x25, 0]), octets(sha256))),
  lengthOfNullContainsALeading0: padded(sequence(sequence(oidSha256, [5, 0x81, 0]), octets(sha256))),
  "algorithm: another object identifier": padded(sequence(sequence(oidSha384, nothing), octets(sha256))),
  "algorithm: an object identifier with a leading 0x80": padded(
    sequence(sequence(der(6, [0x80, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]), nothing), octets(sha256)),
  ),
  "algorithm: none": padded(sequence(octets(sha256))),
  "algorithm: twice": padded(sequence(algorithm, algorithm, octets(sha256))),
  lengthOfOctetStringUsesLongFormEncoding: padded(sequence(algorithm, withLength(octets(sha256), 0x81, 32))),
  lengthOfOctetStringContainsALeading0: padded(sequence(algorithm, withLength(octets(sha256), 0x82, 0, 32))),
  lengthOfOctetStringUses33InsteadOf32: padded(sequence(algorithm, withLength(octets(sha256), 33))),
  lengthOfOctetStringUses31InsteadOf32: padded(sequence(algorithm, withLength(octets(sha256), 31))),
  lonelyOctetStringTag: padded(sequence(algorithm, [4])),
  removingOctetString: padded(sequence(algorithm)),
  "appending0'sToOctetString": padded(sequence(algorithm, octets([...sha256, 0, 0]))),
  "prepending0'sToOctetString": padded(sequence(algorithm, octets([0, 0, ...sha256]))),
  "a digest that was cut": padded(sequence(algorithm, octets(sha256.slice(0, 20)))),
  "an empty digest": padded(sequence(algorithm, octets([]))),
  "another digest": padded(sequence(algorithm, octets(sha256.with(31, (sha256[31] ?? 0) ^ 1)))),
  "SHA-1": padded(sequence(sequence(oidSha1, nothing), octets(digest("sha1")))),
  "SHA-384 under RS256": padded(sequence(sequence(oidSha384, nothing), octets(digest("sha384")))),
  "the digest alone": padded(sha256),
  "the text that was signed": padded([...Buffer.from(input)].slice(0, 200)),
}

const power = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  let result = 1n
  let square = base % modulus
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

const toNumber = (bytes: Uint8Array | ReadonlyArray<number>): bigint =>
  BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`)

const fromBase64url = (text = ""): bigint => toNumber(Buffer.from(text, "base64url"))

/** The bare RSA signature of an encoded message, as long as the modulus unless said otherwise. */
const bareSignature = Effect.fnUntraced(function* (encoded: ReadonlyArray<number>, more = 0n) {
  const { d, n } = (yield* pairFor("RS256")).privateJwk
  const modulus = fromBase64url(n)
  const signature = power(toNumber(encoded), fromBase64url(d), modulus) + more * modulus
  return Buffer.from(signature.toString(16).padStart(size * 2, "0"), "hex")
})

const publishing = Effect.fnUntraced(function* () {
  const { publicJwk } = yield* pairFor("RS256")
  return yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: [{ ...publicJwk, kid: "1" }] }) })
})

describe("PKCS #1 v1.5 has one encoding", () => {
  it.effect("which verifies, made in the same way as the wrong ones", () =>
    Effect.gen(function* () {
      const { verify } = yield* publishing()
      const verified = yield* verify(`${input}.${base64url(yield* bareSignature(padded(right)))}`)
      assert.strictEqual(verified.header.alg, "RS256")
    }),
  )

  for (const [name, encoded] of Object.entries(encodings)) {
    it.effect(`${name}: Signature`, () =>
      Effect.gen(function* () {
        assert.lengthOf(encoded, size)
        const { reason } = yield* publishing()
        const token = `${input}.${base64url(yield* bareSignature(encoded))}`
        assert.deepStrictEqual(yield* reason(token), { _tag: "Signature" })
      }),
    )
  }

  it.effect("and one number: with the modulus added, cut, or longer, it is none", () =>
    Effect.gen(function* () {
      const { reason } = yield* publishing()
      const good = yield* bareSignature(padded(right))
      for (const signature of [
        (yield* bareSignature(padded(right), 1n)).subarray(-size),
        yield* bareSignature(padded(right), 256n),
        good.subarray(1),
        good.subarray(0, -1),
        Buffer.concat([Buffer.of(0), good]),
        Buffer.concat([good, Buffer.of(0)]),
        Buffer.alloc(size),
        Buffer.alloc(size, 0xff),
        Buffer.from([...Array.from({ length: size - 1 }, () => 0), 1]),
      ]) {
        assert.deepStrictEqual(yield* reason(`${input}.${base64url(signature)}`), { _tag: "Signature" })
      }
    }),
  )
})
