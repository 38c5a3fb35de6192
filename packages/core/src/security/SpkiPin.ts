/**
 * Public key pins: the base64 SHA-256 digest of a certificate's SubjectPublicKeyInfo, as in RFC 7469
 * section 2.4.
 *
 * **Gotchas**
 *
 * This module only tells whether a pin is well-formed. What certificate a connection had is known to
 * the transport alone, so enforcing pins belongs to a transport that attests that it does (such as
 * that of `@effect-jwks/node`); with any other, a registration with pins is refused.
 */

/** 43 characters and one of padding; the last character carries four bits, the rest of them zero. */
const base64Of32Bytes = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/

/** Whether `text` is a pin: the base64 (RFC 4648 section 4) of 32 bytes. */
export const isSpkiPin = (text: string): boolean => base64Of32Bytes.test(text)
