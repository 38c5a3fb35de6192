/**
 * Everything that can go wrong, as typed errors, and the one question that the cache asks about a failed
 * fetch: is it worth retrying. Every failure lets the last good set be served meanwhile.
 *
 * No message holds a response body, a query string or a secret; every URL was shortened by
 * {@link displayUrl}, and text that came from outside is quoted and cut by {@link quote}.
 */
import * as Schema from "effect/Schema"
import { DropReason } from "./jwk/Jwks.ts"

/** Origin and path of a URL: what may be shown. Query, fragment and userinfo never are. */
export const displayUrl = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`

/** Quotes text that came from outside for a message: control characters escaped, at most 64 characters. */
export const quote = (text: string): string =>
  JSON.stringify(text.length > 64 ? `${text.slice(0, 63)}…` : text).replace(
    // JSON leaves these as they are; a log or a terminal may not.
    /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )

// -----------------------------------------------------------------------------
// Why a fetch failed
// -----------------------------------------------------------------------------

/** No response: DNS, connection, TLS, or a body that broke off. */
export const TransportFailed = Schema.TaggedStruct("TransportFailed", {
  url: Schema.String,
  /** A code such as `ECONNREFUSED`, or a short description. */
  detail: Schema.String,
})

/** An attempt or the whole flight took too long. */
export const TimedOut = Schema.TaggedStruct("TimedOut", {
  url: Schema.String,
  /** Which limit: one attempt's `attemptTimeout`, or the flight's `deadline`. */
  limit: Schema.Literals(["attemptTimeout", "deadline"]),
  afterMillis: Schema.Number,
})

/** A status other than 200 and 304. */
export const HttpStatus = Schema.TaggedStruct("HttpStatus", {
  url: Schema.String,
  status: Schema.Number,
})

/** A redirect that is not followed. */
export const RedirectRefused = Schema.TaggedStruct("RedirectRefused", {
  url: Schema.String,
  rule: Schema.String,
})

/** A URL that the URL policy does not allow, on the first request or a hop. */
export const UrlRefused = Schema.TaggedStruct("UrlRefused", {
  url: Schema.String,
  rule: Schema.String,
})

/** A host that names a private, loopback or otherwise special address. */
export const AddressRefused = Schema.TaggedStruct("AddressRefused", {
  host: Schema.String,
  rule: Schema.String,
})

/** The server's keys match none of the registration's `pinnedSpki`, or nothing attests that they were checked. */
export const PinMismatch = Schema.TaggedStruct("PinMismatch", { url: Schema.String })

/** More than `maxResponseBytes` decoded bytes. */
export const BodyTooLarge = Schema.TaggedStruct("BodyTooLarge", { url: Schema.String, limitBytes: Schema.Number })

/** A body that is no JWK Set (RFC 7517 section 5), or a 304 that makes no sense. */
export const BodyInvalid = Schema.TaggedStruct("BodyInvalid", { url: Schema.String, rule: Schema.String })

/** A JWK Set without a key that could verify a signature. */
export const NoUsableKeys = Schema.TaggedStruct("NoUsableKeys", { url: Schema.String, dropped: Schema.Number })

/** The issuer's metadata could not be read, or does not fit the issuer. */
export const DiscoveryFailed = Schema.TaggedStruct("DiscoveryFailed", { url: Schema.String, rule: Schema.String })

/** The fetch waited for a permit until its deadline; says nothing about the provider. */
export const NoPermit = Schema.TaggedStruct("NoPermit", { waitedMillis: Schema.Number })

/** The layer was closed. */
export const RegistryClosed = Schema.TaggedStruct("RegistryClosed", {})

/** Why a provider's keys could not be fetched. */
export const UnavailableReason = Schema.Union([
  TransportFailed,
  TimedOut,
  HttpStatus,
  RedirectRefused,
  UrlRefused,
  AddressRefused,
  PinMismatch,
  BodyTooLarge,
  BodyInvalid,
  NoUsableKeys,
  DiscoveryFailed,
  NoPermit,
  RegistryClosed,
])

/** Why a provider's keys could not be fetched. */
export type UnavailableReason = typeof UnavailableReason.Type

/** One readable sentence for a reason. */
export const describeReason = (reason: UnavailableReason): string => {
  switch (reason._tag) {
    case "TransportFailed":
      return `no response from ${reason.url} (${reason.detail})`
    case "TimedOut":
      return `${reason.url} did not answer within its ${reason.limit} of ${reason.afterMillis} ms`
    case "HttpStatus":
      return `${reason.url} answered with status ${reason.status}`
    case "RedirectRefused":
      return `a redirect from ${reason.url} was refused: ${reason.rule}`
    case "UrlRefused":
      return `${reason.url} was refused: ${reason.rule}`
    case "AddressRefused":
      return `host ${reason.host} was refused: ${reason.rule}`
    case "PinMismatch":
      return `no certificate of ${reason.url} is known to match the pinned keys`
    case "BodyTooLarge":
      return `${reason.url} sent more than ${reason.limitBytes} bytes`
    case "BodyInvalid":
      return `${reason.url} sent no usable JWK Set: ${reason.rule}`
    case "NoUsableKeys":
      return `the JWK Set of ${reason.url} has no usable key (${reason.dropped} dropped)`
    case "DiscoveryFailed":
      return `discovery at ${reason.url} failed: ${reason.rule}`
    case "NoPermit":
      return `no fetch permit became free within ${reason.waitedMillis} ms`
    case "RegistryClosed":
      return "the registry was closed"
  }
}

/** Whether another attempt may help: no response, a timeout, 408, 425, 429 or 5xx. */
export const isTransient = (reason: UnavailableReason): boolean => {
  switch (reason._tag) {
    case "TransportFailed":
    case "TimedOut":
      return true
    case "HttpStatus":
      return reason.status === 408 || reason.status === 425 || reason.status === 429 || reason.status >= 500
    case "RedirectRefused":
    case "UrlRefused":
    case "AddressRefused":
    case "PinMismatch":
    case "BodyTooLarge":
    case "BodyInvalid":
    case "NoUsableKeys":
    case "DiscoveryFailed":
    case "NoPermit":
    case "RegistryClosed":
      return false
  }
}

/** Whether time ran out on the provider: by a limit of the cache, or by one of the transport's own. */
export const isTimeout = (reason: UnavailableReason): boolean =>
  reason._tag === "TimedOut" || (reason._tag === "TransportFailed" && /^ETIMEDOUT$|_TIMEOUT$/.test(reason.detail))

// -----------------------------------------------------------------------------
// What callers get
// -----------------------------------------------------------------------------

const optionalProvider = Schema.optionalKey(Schema.String)

const of = (self: { readonly tenant: string; readonly provider?: string }): string =>
  self.provider === undefined ? `tenant ${self.tenant}` : `provider ${self.provider} of tenant ${self.tenant}`

const named = (kid: string | undefined): string =>
  kid === undefined ? "for a token without kid" : `with kid ${quote(kid)}`

/** The tenant or the provider is not registered. */
export class NotRegistered extends Schema.TaggedError<NotRegistered>()("NotRegistered", {
  tenant: Schema.String,
  provider: optionalProvider,
}) {
  override get message(): string {
    return this.provider === undefined
      ? `tenant ${quote(this.tenant)} has no provider; register one first`
      : `tenant ${quote(this.tenant)} has no provider ${quote(this.provider)}; register it first`
  }
}

/**
 * No key fits.
 *
 * **Details**
 *
 * `confirmed`: the provider itself was asked after the question, so the token is wrong. Otherwise the
 * provider could not be asked now: treat it as an outage, and ask again after `retryAfterMillis`.
 * `dropped` says why a key that the document does hold under this kid can not be used.
 */
export class KeyNotFound extends Schema.TaggedError<KeyNotFound>()("KeyNotFound", {
  tenant: Schema.String,
  provider: optionalProvider,
  kid: Schema.optionalKey(Schema.String),
  confirmed: Schema.Boolean,
  dropped: Schema.optionalKey(DropReason),
  retryAfterMillis: Schema.optionalKey(Schema.Number),
}) {
  override get message(): string {
    const what = `no key ${named(this.kid)} at ${of(this)}`
    if (this.dropped === "InvalidKid") return `${what}: no key can have such a kid`
    if (this.dropped !== undefined) return `${what}: the published key can not be used (${this.dropped})`
    if (this.confirmed) return what
    return this.retryAfterMillis === undefined
      ? `${what}, not confirmed by the provider`
      : `${what}, not confirmed by the provider; ask again in ${this.retryAfterMillis} ms`
  }
}

/** Different keys fit, and nothing tells them apart; give `provider` or `alg`. */
export class KeyAmbiguous extends Schema.TaggedError<KeyAmbiguous>()("KeyAmbiguous", {
  tenant: Schema.String,
  provider: optionalProvider,
  kid: Schema.optionalKey(Schema.String),
  /** RFC 7638 thumbprints of the keys that fit. */
  thumbprints: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `${this.thumbprints.length} different keys fit ${named(this.kid)} at ${of(this)}; name the provider or the algorithm`
  }
}

/** No usable set is held, and none could be fetched. */
export class JwksUnavailable extends Schema.TaggedError<JwksUnavailable>()("JwksUnavailable", {
  tenant: Schema.String,
  provider: optionalProvider,
  reason: UnavailableReason,
  /** When asking again may help, in milliseconds from now. */
  retryAfterMillis: Schema.optionalKey(Schema.Number),
}) {
  override get message(): string {
    return `no keys of ${of(this)}: ${describeReason(this.reason)}`
  }
}

/** What a resolve may fail with. */
export type ResolveError = NotRegistered | KeyNotFound | KeyAmbiguous | JwksUnavailable

/** A registration or an option that breaks a rule; nothing was registered. */
export class InvalidRegistration extends Schema.TaggedError<InvalidRegistration>()("InvalidRegistration", {
  /** Every breach: the field (`retryPolicy.maxRetries`), and what to write instead. */
  issues: Schema.Array(Schema.Struct({ field: Schema.String, rule: Schema.String })),
}) {
  override get message(): string {
    return this.issues.map(({ field, rule }) => `${field}: ${rule}`).join("; ")
  }
}

/** The store could not be reached at all. */
export class PersistenceFailed extends Schema.TaggedError<PersistenceFailed>()("PersistenceFailed", {
  rule: Schema.String,
}) {
  override get message(): string {
    return this.rule
  }
}
