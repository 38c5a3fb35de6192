/**
 * Reads the base64url numbers of a JWK (RFC 7515 section 2, RFC 4648 section 5) as providers really
 * write them, and writes them back in their one canonical spelling.
 *
 * Tolerated: padding at the end, the standard alphabet (`+` and `/`), and space, tab, CR and LF
 * anywhere. Bits that no byte needs are ignored, as other decoders do. Since the canonical text is
 * always written anew from the bytes, equal numbers are equal texts and have one thumbprint.
 */
import * as Base64Url from "effect/encoding/Base64Url"

const padding = 64
const whiteSpace = 65
const invalid = 255

/** What an ASCII character stands for: a sextet, or one of the constants above. */
const meanings = new Uint8Array(128).fill(invalid)
const define = (characters: string, meaning: (index: number) => number) => {
  for (let i = 0; i < characters.length; i++) meanings[characters.charCodeAt(i)] = meaning(i)
}
define("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", (i) => i)
define("+/", (i) => 62 + i)
define("=", () => padding)
define(" \t\r\n", () => whiteSpace)

/** The bytes that `text` stands for; `undefined` where it is no base64url text even with tolerance. */
export const decode = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array((text.length * 3) >>> 2)
  let length = 0
  let digits = 0
  let pads = 0
  let held = 0
  for (let i = 0; i < text.length; i++) {
    const meaning = meanings[text.charCodeAt(i)] ?? invalid
    if (meaning < padding) {
      if (pads > 0) return undefined
      held = (held << 6) | meaning
      // Four digits make three bytes; all but the first of the four complete one.
      const place = digits++ & 3
      if (place > 0) bytes[length++] = held >> (6 - 2 * place)
    } else if (meaning === padding) {
      if (++pads > 2) return undefined
    } else if (meaning === invalid) {
      return undefined
    }
  }
  return (digits & 3) === 1 ? undefined : bytes.subarray(0, length)
}

/** The canonical text of `bytes`: base64url without padding. */
export const encode = (bytes: Uint8Array): string => Base64Url.encode(bytes)
