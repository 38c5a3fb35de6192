/**
 * Why a token is not accepted, as typed errors, and the one question that an answer to a request depends on: is it
 * the token, or is it an outage.
 *
 * No message holds a token, a claim's value or a query string; what a token says of itself is quoted and cut.
 */
import type { ResolveError } from "@effect-jwks/core"
import { quote } from "@effect-jwks/core"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

// -----------------------------------------------------------------------------
// Why a token is refused
// -----------------------------------------------------------------------------

/** No compact JWS (RFC 7515 section 7.1) with a JSON object in it, or one with parts that are not understood. */
export const Malformed = Schema.TaggedStruct("Malformed", { rule: Schema.String })

/** An algorithm that is unsecured, symmetric or unknown, that the provider does not use, or that does not fit the key. */
export const Algorithm = Schema.TaggedStruct("Algorithm", { alg: Schema.String, rule: Schema.String })

/** No key that the issuer publishes under this kid made the signature. */
export const Signature = Schema.TaggedStruct("Signature", {})

/** `exp` has passed (RFC 7519 section 4.1.4). */
export const Expired = Schema.TaggedStruct("Expired", {
  /** When, in epoch milliseconds. */
  expiredAt: Schema.Number,
})

/** `nbf` is in the future (RFC 7519 section 4.1.5), or `iat` is where `maxAge` is asked for. */
export const NotYetValid = Schema.TaggedStruct("NotYetValid", {
  claim: Schema.Literals(["nbf", "iat"]),
  /** From when on, in epoch milliseconds. */
  validAt: Schema.Number,
})

/** `iat` (RFC 7519 section 4.1.6) is longer ago than `maxAge`. */
export const TooOld = Schema.TaggedStruct("TooOld", {
  /** When it was issued, in epoch milliseconds. */
  issuedAt: Schema.Number,
  maxAgeMillis: Schema.Number,
})

/** `aud` names nobody who is expected here (RFC 7519 section 4.1.3). */
export const Audience = Schema.TaggedStruct("Audience", { expected: Schema.Array(Schema.String) })

/** No provider of the tenant vouches for tokens of this `iss` (RFC 7519 section 4.1.1). */
export const Issuer = Schema.TaggedStruct("Issuer", { rule: Schema.String })

/** The header's `typ` (RFC 7519 section 5.1) is not the one that is expected here. */
export const Type = Schema.TaggedStruct("Type", { rule: Schema.String })

/** Claims that are missing, or that the caller's schema does not accept. */
export const Claims = Schema.TaggedStruct("Claims", {
  /** Where, as `address.country`, and what is expected there; never what was found. */
  issues: Schema.Array(Schema.Struct({ claim: Schema.String, rule: Schema.String })),
  /**
   * The schema's own issue, for programs. Absent where no schema was asked, and where the error was encoded: it holds
   * schemas.
   */
  issue: Schema.optionalKey(Schema.Never).pipe(
    Schema.decodeTo(Schema.optionalKey(Schema.Unknown), {
      decode: SchemaGetter.passthrough(),
      encode: SchemaGetter.omit(),
    }),
  ),
})

/** Why a token is refused. */
export const JwtInvalidReason = Schema.Union([
  Malformed,
  Algorithm,
  Signature,
  Expired,
  NotYetValid,
  TooOld,
  Audience,
  Issuer,
  Type,
  Claims,
])

/** Why a token is refused. */
export type JwtInvalidReason = typeof JwtInvalidReason.Type

/** A token may say anything: also a time that no calendar has. */
const at = (epochMillis: number): string =>
  Option.match(DateTime.make(epochMillis), { onNone: () => "an absurd time", onSome: DateTime.formatIso })

/** One readable sentence for a reason. */
export const describeJwtReason = (reason: JwtInvalidReason): string => {
  switch (reason._tag) {
    case "Malformed":
      return `not a JWT that is understood here: ${reason.rule}`
    case "Algorithm":
      return `algorithm ${quote(reason.alg)} is refused: ${reason.rule}`
    case "Signature":
      return "the signature does not match"
    case "Expired":
      return `expired at ${at(reason.expiredAt)}`
    case "NotYetValid":
      return `not valid before ${at(reason.validAt)} (${reason.claim})`
    case "TooOld":
      return `issued at ${at(reason.issuedAt)}, longer ago than ${reason.maxAgeMillis / 1_000} s`
    case "Audience":
      return reason.expected.length === 0
        ? "it names an audience, and none is expected: name yours with the option audience"
        : `it is for another audience than ${reason.expected.map(quote).join(", ")}`
    case "Issuer":
      return `its issuer is refused: ${reason.rule}`
    case "Type":
      return `it is of another type: ${reason.rule}`
    case "Claims":
      return `its claims are refused: ${reason.issues.map(({ claim, rule }) => (claim === "" ? rule : `${claim}: ${rule}`)).join("; ")}`
  }
}

/**
 * The token is wrong: no later attempt makes it right, except that one which is not valid yet may become valid.
 *
 * **Details**
 *
 * Answer with 401 (RFC 6750 section 3.1, `invalid_token`).
 */
export class JwtInvalid extends Schema.TaggedError<JwtInvalid>()("JwtInvalid", {
  tenant: Schema.String,
  /** Whose token it is, where its issuer was found to be a provider's. */
  provider: Schema.optionalKey(Schema.String),
  reason: JwtInvalidReason,
}) {
  override get message(): string {
    return `token refused: ${describeJwtReason(this.reason)}`
  }
}

/** What a verification may fail with. */
export type VerifyError = JwtInvalid | ResolveError

// -----------------------------------------------------------------------------
// 401 or 503
// -----------------------------------------------------------------------------

/**
 * Whether an error says nothing about the token, since the provider could not be asked: 503. Everything else is
 * 401.
 *
 * **Details**
 *
 * `JwksUnavailable`, and `KeyNotFound` that the provider has not confirmed, are outages. A tenant that is not
 * registered has no valid token.
 */
export const isOutage = (error: VerifyError): boolean => {
  switch (error._tag) {
    case "JwksUnavailable":
      return true
    case "KeyNotFound":
      return !error.confirmed
    case "JwtInvalid":
    case "KeyAmbiguous":
    case "NotRegistered":
      return false
  }
}

/** When asking again may help, in milliseconds from now; `undefined` where the error does not say. */
export const retryAfterMillis = (error: VerifyError): number | undefined =>
  error._tag === "JwksUnavailable" || error._tag === "KeyNotFound" ? error.retryAfterMillis : undefined
