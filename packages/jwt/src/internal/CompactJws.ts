/**
 * A token taken apart before anything is verified: header and claims are what it says of itself, and nothing more.
 */
import { allJwsAlgorithms, type JwsAlgorithm } from "@effect-jwks/core"
import * as Result from "effect/Result"
import type { JwtInvalidReason } from "../JwtError.ts"
import type { JwtHeader } from "../VerifiedJwt.ts"
import { asymmetricOnly, kidIsNoText } from "./Refusal.ts"
import { bytesIn, hasForeign, isCanonical } from "./Base64url.ts"

/** What a signature covers, and the signature itself, which may still be no base64url. */
export interface SignedText {
  /** The JWS Signing Input (RFC 7515 section 5.2): header and payload as they came, all of it ASCII. */
  readonly input: string
  readonly signature: string
}

/** What a token says of itself. */
export interface UnverifiedJwt {
  readonly signed: SignedText
  readonly header: JwtHeader
  readonly payload: JsonObject
}

/** A JSON object of which nothing is known. */
export type JsonObject = { readonly [member: string]: unknown }

const malformed = (rule: string): Result.Result<never, JwtInvalidReason> => Result.fail({ _tag: "Malformed", rule })

const refusedAlgorithm = (alg: unknown, rule: string): Result.Result<never, JwtInvalidReason> =>
  typeof alg === "string"
    ? Result.fail({ _tag: "Algorithm", alg, rule })
    : malformed("its header has no alg (RFC 7515 section 4.1.1)")

const threeParts = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** A part that is none. */
export const notBase64url = "its parts are not base64url without padding (RFC 7515 section 2)"

/** Why a text without three such parts is none, for the forms that have a name. */
const nameOf = (token: string): string => {
  const parts = token.split(".")
  if (token.trimStart().startsWith("{")) return "JSON serialization (RFC 7515 section 7.2): send the compact one"
  if (parts.length === 5) return "it is encrypted, a JWE (RFC 7516): only signed tokens are accepted"
  if (parts.length === 3 && parts[2] === "") return "it has no signature (RFC 7519 section 6)"
  if (parts.length === 3 && parts[1] === "") return "its payload is detached (RFC 7515 appendix F)"
  if (parts.length === 3) return notBase64url
  return "it has not three parts separated by dots (RFC 7515 section 7.1)"
}

/** What is wrong with three parts, unless they are none. */
const unlessNone = (
  token: string,
  wrong: Result.Result<never, JwtInvalidReason>,
): Result.Result<never, JwtInvalidReason> => (threeParts.test(token) ? wrong : malformed(nameOf(token)))

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Text of one byte a character, as `atob` gives it, is UTF-8 while it is ASCII, which nearly every token is. */
const notAscii = /[\x80-\xff]/

const textIn = (part: string): string => {
  // Twice as fast as decoding to bytes first.
  const bytes = bytesIn(part)
  return notAscii.test(bytes) ? strictUtf8.decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))) : bytes
}

/** The JSON object that a part of a token holds, if it does. */
export const objectIn = (part: string): JsonObject | undefined => {
  try {
    const value: unknown = JSON.parse(textIn(part))
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Of JSON text, so a prototype of its own it can not have. */
const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const isAsymmetric = (alg: unknown): alg is JwsAlgorithm => allJwsAlgorithms.some((known) => known === alg)

/** Frozen, such a header can not be changed by those who share it. */
const isFlat = (header: JwtHeader): boolean => Object.values(header).every((value) => typeof value !== "object")

/** Most headers that are remembered, and the longest. */
const maxHeaders = 256
const maxHeaderLength = 1_024

/** Takes tokens of at most `maxLength` characters apart. */
export class TokenReader {
  readonly #maxLength: number
  /** Headers by their encoded text: the tokens of one key have the same. The oldest goes first. */
  readonly #headers = new Map<string, JwtHeader>()

  constructor(maxLength: number) {
    this.#maxLength = maxLength
  }

  read(token: unknown): Result.Result<UnverifiedJwt, JwtInvalidReason> {
    if (typeof token !== "string") return malformed("it is no text")
    if (token.length > this.#maxLength) return malformed(`it is longer than ${this.#maxLength} characters`)
    const firstDot = token.indexOf(".")
    const lastDot = token.indexOf(".", firstDot + 1)
    // An expression over the whole token would take longer than reading it, and so would a look from its end.
    const areThree =
      firstDot > 0 && lastDot > firstDot + 1 && lastDot < token.length - 1 && !token.includes(".", lastDot + 1)
    if (!areThree || hasForeign(token)) return malformed(nameOf(token))
    // A token that was refused, or used up, must not come back in another spelling of the same bytes.
    if (
      !isCanonical(token, 0, firstDot) ||
      !isCanonical(token, firstDot + 1, lastDot) ||
      !isCanonical(token, lastDot + 1, token.length)
    ) {
      return unlessNone(token, malformed("its parts have bits that belong to no byte (RFC 4648 section 3.5)"))
    }
    const header = this.#headerIn(token.slice(0, firstDot))
    if (Result.isFailure(header)) return unlessNone(token, Result.fail(header.failure))
    const payload = objectIn(token.slice(firstDot + 1, lastDot))
    if (payload === undefined) {
      return unlessNone(token, malformed("its claims are no JSON object (RFC 7519 section 7.2)"))
    }
    const signed = { input: token.slice(0, lastDot), signature: token.slice(lastDot + 1) }
    return Result.succeed({ signed, header: header.success, payload })
  }

  #headerIn(part: string): Result.Result<JwtHeader, JwtInvalidReason> {
    const known = this.#headers.get(part)
    if (known !== undefined) return Result.succeed(known)
    const header = headerIn(part)
    if (Result.isSuccess(header) && part.length <= maxHeaderLength && isFlat(header.success)) {
      const [oldest] = this.#headers.size < maxHeaders ? [] : this.#headers.keys()
      if (oldest !== undefined) this.#headers.delete(oldest)
      // Some engines cut strings by reference (V8 of Node 22 and 24): without a copy, each header would keep a whole token.
      this.#headers.set(Array.from(part).join(""), header.success)
    }
    return header
  }
}

const headerIn = (part: string): Result.Result<JwtHeader, JwtInvalidReason> => {
  const header = objectIn(part)
  if (header === undefined) return malformed("its header is no JSON object (RFC 7515 section 4)")
  const { alg, b64, crit, cty, kid, typ } = header
  if (alg === "none") return refusedAlgorithm(alg, "an unsecured token proves nothing (RFC 8725 section 3.2)")
  if (!isAsymmetric(alg)) {
    return refusedAlgorithm(alg, asymmetricOnly)
  }
  if (kid !== undefined && typeof kid !== "string") return Result.fail(kidIsNoText)
  if (typ !== undefined && typeof typ !== "string") return malformed("its typ is no text (RFC 7515 section 4.1.9)")
  // Only with crit does it mean anything; without, other readers may disagree on what was signed.
  if (b64 !== undefined && b64 !== true) return malformed("its payload is not encoded (RFC 7797 section 7)")
  if (crit !== undefined && !(isUnderstood(crit) && b64 === true)) {
    return malformed("its crit names what is not understood here (RFC 7515 section 4.1.11)")
  }
  if (typeof cty === "string" && /^(?:application\/)?jwt$/i.test(cty)) {
    return malformed("it holds another token (RFC 7519 section 5.2): nested tokens are not accepted")
  }
  // Shared by the tokens of one key, so nobody may change it.
  return Result.succeed(
    Object.freeze({ ...header, alg, ...(kid !== undefined && { kid }), ...(typ !== undefined && { typ }) }),
  )
}

/** `b64` alone, and only where it says what holds anyway (RFC 7797). */
const isUnderstood = (crit: unknown): boolean => Array.isArray(crit) && crit.length === 1 && crit[0] === "b64"
