/**
 * What stands between a verification and HTTP: the token of an `Authorization` header, and the status and headers that an
 * error is answered with (RFC 6750 sections 2.1 and 3). Pure, and the same for every framework.
 */
import { JwksUnavailable, KeyAmbiguous, KeyNotFound, NotRegistered } from "@effect-jwks/core"
import * as Schema from "effect/Schema"
import { type ChallengedError, type ChallengeOptions, challengeText } from "./internal/Challenge.ts"
import { isOutage, JwtInvalid, type JwtInvalidReason, retryAfterMillis, type VerifyError } from "./JwtError.ts"

// -----------------------------------------------------------------------------
// The request
// -----------------------------------------------------------------------------

/** The scheme without case (RFC 9110 section 11.1), as a whole word, and whatever stands behind its spaces. */
const bearerScheme = /^bearer(?![!#$%&'*+\-.^_`|~\w]) *(?<rest>.*)$/is

/**
 * The token of an `Authorization` header (RFC 6750 section 2.1); `undefined` where no bearer token was sent: no header, or
 * another scheme.
 *
 * **Details**
 *
 * What stands behind `Bearer` is given as it is, an empty or a doubled one too: a verification refuses it as the token that
 * it is not.
 *
 * **Example**
 *
 * ```ts
 * import { bearerOf } from "@effect-jwks/jwt"
 *
 * console.log(bearerOf("bearer a.b.c")) // => a.b.c
 * console.log(bearerOf("Basic YWRhOg==")) // => undefined
 * ```
 */
export const bearerOf = (authorization: string | null | undefined): string | undefined => {
  const sent = withoutBlanks(authorization ?? "")
  // As nearly every client writes it, without a second look at each of its characters.
  return sent.startsWith("Bearer ") && sent[7] !== " " ? sent.slice(7) : bearerScheme.exec(sent)?.groups?.["rest"]
}

/** Without the white space around a field's value (RFC 9110 section 5.5), and nothing else: `trim` takes letters of other kinds. */
const withoutBlanks = (value: string): string => {
  let from = 0
  let to = value.length
  while (from < to && isBlank(value[from])) from += 1
  while (to > from && isBlank(value[to - 1])) to -= 1
  return value.slice(from, to)
}

const isBlank = (character: string | undefined): boolean => character === " " || character === "\t"

/** No bearer token was sent: the answer is a challenge without an error code (RFC 6750 section 3.1). */
export class BearerMissing extends Schema.TaggedError<BearerMissing>()("BearerMissing", {}) {
  override get message(): string {
    return describe(this)
  }
}

/** The header names the scheme, but what follows is no one token (RFC 6750 section 2.1): 400, `invalid_request`. */
export class BearerMalformed extends Schema.TaggedError<BearerMalformed>()("BearerMalformed", {}) {
  override get message(): string {
    return describe(this)
  }
}

/** The token is right, but lacks a scope that is needed: 403, `insufficient_scope`. */
export class ScopeMissing extends Schema.TaggedError<ScopeMissing>()("ScopeMissing", {
  /** All that are needed, also those that the token has. */
  required: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return describe(this)
  }
}

/** What a request with a bearer token may fail with. */
export type BearerError = VerifyError | BearerMissing | BearerMalformed | ScopeMissing

/** One token in the alphabet of RFC 6750 section 2.1, as large as headers come: nothing to go back over. */
const b64token = /^[\w\-.~+/]+=*$/

/**
 * What a refused token is told. What is no one token is no JWT either, so nobody need look before the verification does:
 * a malformed header is 400 (RFC 6750 section 3.1), a malformed token 401.
 */
export const refusalOf = (token: string, error: BearerError): BearerError =>
  b64token.test(token) ? error : new BearerMalformed()

// -----------------------------------------------------------------------------
// The answer
// -----------------------------------------------------------------------------

/** The token is missing or wrong. */
export type Unauthorized = {
  readonly status: 401
  readonly headers: { readonly "www-authenticate": string }
}

/** The header is malformed (400), or the token gives too little (403). */
export type Refused = {
  readonly status: 400 | 403
  readonly headers: { readonly "www-authenticate": string }
}

/** The provider could not be asked. */
export type Unavailable = {
  readonly status: 503
  /** Whole seconds, at least 1. */
  readonly headers: { readonly "retry-after": string }
}

/** What an answer depends on besides the error. */
export interface AnswerOptions extends ChallengeOptions {
  /** The header that was sent. Without it, a header that does not hold one token is answered as a token that is wrong. */
  readonly authorization?: string | null | undefined
}

/** How an error is answered. */
export type BearerChallenge = Unauthorized | Refused | Unavailable

/**
 * The status and the headers that answer an error; `undefined` for one that is about neither token nor provider, such as a
 * bug or an abort.
 *
 * **Details**
 *
 * - 503 with `Retry-After`, rounded up to whole seconds, for what {@link isOutage} calls one; 1 second where the error does
 *   not say when.
 * - 400 with `error="invalid_request"` for {@link BearerMalformed}, and for what comes of an `authorization` that does not hold
 *   one token; 403 with `error="insufficient_scope"` and the scopes that are needed for {@link ScopeMissing}.
 * - 401 with `WWW-Authenticate` for the rest: without an error code for {@link BearerMissing}, otherwise with
 *   `error="invalid_token"`.
 *
 * `error_description` is one of a few fixed sentences. Nothing from the token, and no name of a tenant or a provider, gets
 * into a header. The errors of jose's `jwtVerify` are understood, too, by their `code`.
 *
 * **Example**
 *
 * ```ts
 * import { BearerMissing, challengeFor } from "@effect-jwks/jwt"
 *
 * const { headers, status } = challengeFor(new BearerMissing(), { realm: "orders" })
 * console.log(status, headers) // => 401 { 'www-authenticate': 'Bearer realm="orders"' }
 * ```
 */
export function challengeFor(error: BearerError, options?: AnswerOptions): BearerChallenge
export function challengeFor(error: unknown, options?: AnswerOptions): BearerChallenge | undefined
export function challengeFor(error: unknown, options: AnswerOptions = {}): BearerChallenge | undefined {
  const answer = isBearerError(error) ? answerOf(error, options) : answerToJose(error, options)
  const token = bearerOf(options.authorization)
  return answer === undefined || token === undefined || b64token.test(token)
    ? answer
    : answerOf(new BearerMalformed(), options)
}

const answerToJose = (error: unknown, options: ChallengeOptions): BearerChallenge | undefined => {
  const description = joseDescription(error)
  return description === undefined ? undefined : unauthorized(options, { code: "invalid_token", description })
}

const answerOf = (error: BearerError, options: ChallengeOptions): BearerChallenge => {
  switch (error._tag) {
    case "BearerMissing":
      return unauthorized(options)
    case "BearerMalformed":
      return refused(400, options, { code: "invalid_request", description: describe(error) })
    case "ScopeMissing":
      return refused(
        403,
        { ...options, scope: error.required },
        { code: "insufficient_scope", description: describe(error) },
      )
    default:
      return isOutage(error)
        ? { status: 503, headers: { "retry-after": String(retryAfterSeconds(error)) } }
        : unauthorized(options, { code: "invalid_token", description: describe(error) })
  }
}

/** Whole seconds; "at once" would be tried at once by everybody who waits. */
const retryAfterSeconds = (error: VerifyError): number => Math.max(1, Math.ceil((retryAfterMillis(error) ?? 0) / 1_000))

const isBearerError = (error: unknown): error is BearerError =>
  error instanceof BearerMissing ||
  error instanceof BearerMalformed ||
  error instanceof ScopeMissing ||
  error instanceof JwtInvalid ||
  error instanceof JwksUnavailable ||
  error instanceof KeyNotFound ||
  error instanceof KeyAmbiguous ||
  error instanceof NotRegistered

const unauthorized = (options: ChallengeOptions, error?: ChallengedError): Unauthorized => ({
  status: 401,
  headers: { "www-authenticate": challengeText(options, error) },
})

const refused = (status: 400 | 403, options: ChallengeOptions, error: ChallengedError): Refused => ({
  status,
  headers: { "www-authenticate": challengeText(options, error) },
})

/** For the client's developer. Whether a tenant or only its issuer is unknown is not his business. */
const untrusted = "the issuer of the token is not trusted here"
const expired = "the token has expired"
const forged = "the signature of the token does not match"

/** One of a few fixed sentences, without anything from the request. */
export const describe = (error: BearerError): string => {
  switch (error._tag) {
    case "BearerMissing":
      return "no bearer token was sent"
    case "BearerMalformed":
      return "the Authorization header does not hold one bearer token"
    case "ScopeMissing":
      return "the token does not give the scope that is needed"
    case "JwtInvalid":
      return describeKind(error.reason)
    case "KeyNotFound":
    case "JwksUnavailable":
      return "the issuer has no key that fits the token"
    case "KeyAmbiguous":
      return "the token does not say which key of its issuer it was signed with"
    case "NotRegistered":
      return untrusted
  }
}

const describeKind = (reason: JwtInvalidReason): string => {
  switch (reason._tag) {
    case "Malformed":
      return "the token is malformed"
    case "Algorithm":
      return "the algorithm of the token is not accepted"
    case "Signature":
      return forged
    case "Expired":
      return expired
    case "NotYetValid":
      return "the token is not valid yet"
    case "TooOld":
      return "the token was issued too long ago"
    case "Audience":
      return "the token is for another audience"
    case "Issuer":
      return untrusted
    case "Type":
      return "the token is of another type"
    case "Claims":
      return "the claims of the token are not accepted"
  }
}

/** Those of jose's codes that blame the token; the others blame keys or the caller. */
const joseDescriptions: ReadonlyMap<unknown, string> = new Map([
  ["ERR_JWT_EXPIRED", expired],
  ["ERR_JWT_CLAIM_VALIDATION_FAILED", "the claims of the token are not accepted"],
  ["ERR_JWT_INVALID", "the token is malformed"],
  ["ERR_JWS_INVALID", "the token is malformed"],
  ["ERR_JWS_SIGNATURE_VERIFICATION_FAILED", forged],
  ["ERR_JOSE_ALG_NOT_ALLOWED", "the algorithm of the token is not accepted"],
  ["ERR_JOSE_NOT_SUPPORTED", "the token asks for what is not supported here"],
])

/** By the code, since an application may have a jose of its own beside ours. */
const joseDescription = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error ? joseDescriptions.get(error.code) : undefined
