/**
 * Whether base64url text has one spelling (RFC 4648 section 3.5): the bits of its last character that no byte takes are
 * zero. Decoders skip them, so one signature would have up to 16 spellings, and so would the token.
 */
export const isCanonical = (text: string, from: number, to: number): boolean => {
  switch ((to - from) % 4) {
    case 0:
      return true
    case 2:
      return "AQgw".includes(text.charAt(to - 1))
    case 3:
      return "AEIMQUYcgkosw048".includes(text.charAt(to - 1))
    default:
      return false
  }
}

/**
 * Whether text holds what decoders let pass beside base64url without padding (RFC 7515 section 2): white space, padding, and
 * the two characters of the other alphabet. A signature covers the text that they skip it in.
 */
export const hasForeign = (text: string): boolean =>
  text.includes(" ") ||
  text.includes("=") ||
  text.includes("+") ||
  text.includes("/") ||
  text.includes("\n") ||
  text.includes("\r") ||
  text.includes("\t") ||
  text.includes("\f")

/** The bytes of base64url text, one in each character. Throws for what is none. */
export const bytesIn = (part: string): string => atob(isBase64(part) ? part : inBase64(part))

/** The two alphabets differ in two characters, and JSON in ASCII has them only where `>`, `?`, `~` or DEL ends a group of three. */
const isBase64 = (part: string): boolean => !part.includes("-") && !part.includes("_")

const inBase64 = (part: string): string => part.replaceAll("-", "+").replaceAll("_", "/")
