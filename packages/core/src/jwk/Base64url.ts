/**
 * Reads the base64url numbers of a JWK (RFC 7515 section 2, RFC 4648 section 5) as providers really
 * write them, and writes them back in their one canonical spelling.
 *
 * Tolerated: padding at the end, the standard alphabet (`+` and `/`), and space, tab, CR and LF
 * anywhere. Bits that no byte needs are ignored, as other decoders do. What is not spelled canonically is
 * written anew from its bytes, so equal numbers are equal texts and have one thumbprint.
 *
 * A document of 1 MiB may be nothing but such text, and it is read on the thread that answers everybody:
 * the loops work on bytes, and in rooms that are there already.
 */
import { Room } from "./Room.ts"

/** A number as it was written. */
export interface Base64urlNumber {
  readonly text: string
  readonly bytes: Uint8Array
  /** Whether the text is what {@link encode} makes of the bytes. */
  readonly isCanonical: boolean
}

/** Beside a sextet: the digit is of the standard alphabet. */
const notCanonical = 64
/** What is no digit. */
const whiteSpace = 128
const padding = 129
const invalid = 130

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
/** The characters of {@link alphabet}, as bytes, by sextet. */
const characters = new Uint8Array(64).map((_, sextet) => alphabet.charCodeAt(sextet))

/** What a byte of UTF-8 text stands for. */
const meanings = new Uint8Array(256).fill(invalid)
characters.forEach((character, sextet) => (meanings[character] = sextet))
meanings[0x2b] = notCanonical | 62 // +
meanings[0x2f] = notCanonical | 63 // /
meanings[0x3d] = padding
for (const character of [0x20, 0x09, 0x0d, 0x0a]) meanings[character] = whiteSpace

const utf8 = new TextEncoder()
const ascii = new TextDecoder()

/** Has room for the text of every number that passes the key policy (ML-DSA-87 has 3,456 digits). */
const textRoom = new Room(new Uint8Array(4_096))

/** The text as bytes, until the next call; `undefined` where it is not ASCII. */
const asciiOf = (text: string): Uint8Array | undefined => {
  const bytes = textRoom.take(text.length)
  const { read, written } = utf8.encodeInto(text, bytes)
  // Any other character takes more than one byte, for which there is no room.
  return read === text.length && written === read ? bytes : undefined
}

/** How many bytes so many digits stand for. */
const byteLength = (digitCount: number): number => (digitCount * 3) >>> 2

/**
 * Reads a number; `undefined` where `text` is no base64url text even with tolerance.
 *
 * **Gotchas**
 *
 * The bytes are in `room`, until that is used again.
 */
export const read = (text: string, room: Room): Base64urlNumber | undefined => {
  const characters = asciiOf(text)
  if (characters === undefined) return undefined
  const { length } = characters
  const bytes = room.take(byteLength(length))
  let count = 0
  /** Those of all characters together. */
  let meaning = 0
  let pads = 0
  let i = 0
  for (;;) {
    while (i + 4 <= length) {
      const a = meanings[characters[i] ?? 0] ?? invalid
      const b = meanings[characters[i + 1] ?? 0] ?? invalid
      const c = meanings[characters[i + 2] ?? 0] ?? invalid
      const d = meanings[characters[i + 3] ?? 0] ?? invalid
      const four = a | b | c | d
      if (four >= whiteSpace) break
      meaning |= four
      bytes[count] = (a << 2) | ((b & 63) >> 4)
      bytes[count + 1] = (b << 4) | ((c & 63) >> 2)
      bytes[count + 2] = (c << 6) | (d & 63)
      count += 3
      i += 4
    }
    // Where there is something between the digits, or few are left, one by one.
    let digits = 0
    let held = 0
    while (digits < 4 && i < length) {
      const one = meanings[characters[i++] ?? 0] ?? invalid
      meaning |= one
      if (one < whiteSpace) {
        if (pads > 0) return undefined
        held = (held << 6) | (one & 63)
        digits++
      } else if (one === padding) {
        if (++pads > 2) return undefined
      } else if (one === invalid) {
        return undefined
      }
    }
    // Four digits make three bytes, three make two, two make one; what is left over of the last digit is zero.
    if (digits === 1) return undefined
    const spare = digits === 2 ? 4 : digits === 3 ? 2 : 0
    if ((held & ((1 << spare) - 1)) !== 0) meaning |= notCanonical
    for (let shift = 6 * digits - 8; shift >= 0; shift -= 8) bytes[count++] = held >> shift
    if (digits < 4) break
  }
  return {
    text,
    bytes: count === bytes.length ? bytes : bytes.subarray(0, count),
    isCanonical: meaning < notCanonical,
  }
}

const noRoom = new Room(new Uint8Array(0))

/** The bytes that `text` stands for, as {@link read} finds them, in an array of their own. */
export const decode = (text: string): Uint8Array | undefined => read(text, noRoom)?.bytes

/** The characters of two digits, to be written at once. */
const pairs = new Uint16Array(64 * 64)
new Uint8Array(pairs.buffer).forEach((_, i, bytes) => {
  bytes[i] = characters[i % 2 === 0 ? i >> 7 : (i >> 1) & 63] ?? 0
})

/** What is encoded at once. */
const encodedBytes = 3_072
const encodedPairs = new Uint16Array((encodedBytes / 3) * 2)
const encodedRoom = new Room(new Uint8Array(encodedPairs.buffer))

/** The canonical text of `bytes`. */
export const encode = (bytes: Uint8Array): string => {
  const { length } = bytes
  if (length > encodedBytes) return encode(bytes.subarray(0, encodedBytes)) + encode(bytes.subarray(encodedBytes))
  const digits = encodedRoom.take(Math.ceil((length * 4) / 3))
  const rest = length % 3
  let pair = 0
  for (let i = 0; i < length - rest; i += 3) {
    const three = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    encodedPairs[pair] = pairs[three >> 12] ?? 0
    encodedPairs[pair + 1] = pairs[three & 4_095] ?? 0
    pair += 2
  }
  if (rest > 0) {
    const two = ((bytes[length - rest] ?? 0) << 8) | (rest > 1 ? (bytes[length - 1] ?? 0) : 0)
    encodedPairs[pair] = pairs[two >> 4] ?? 0
    if (rest > 1) digits[2 * pair + 2] = characters[(two << 2) & 63] ?? 0
  }
  return ascii.decode(digits)
}
