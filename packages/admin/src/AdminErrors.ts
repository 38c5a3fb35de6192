/**
 * What the API answers with instead of success. No message holds a token or a query string.
 */
import { UnavailableReason } from "@effect-jwks/core"
import * as ErrorReporter from "effect/ErrorReporter"
import * as Schema from "effect/Schema"

const message = Schema.String.annotate({ description: "One readable sentence." })

/** No token, or another one than the option `token`: status 401 (RFC 6750 section 3). */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  { message },
  { httpApiStatus: 401 },
) {
  override readonly [ErrorReporter.ignore] = true
}

/** A parameter that does not fit its schema: status 400. */
export class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", { message }, { httpApiStatus: 400 }) {
  override readonly [ErrorReporter.ignore] = true
}

/** Nothing is at this path, or not with this method: status 404. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { message }, { httpApiStatus: 404 }) {
  override readonly [ErrorReporter.ignore] = true
}

/** The tenant has no such provider: status 404. Core's `NotRegistered`, with its message. */
export class ProviderNotRegistered extends Schema.TaggedError<ProviderNotRegistered>()(
  "NotRegistered",
  { message, tenant: Schema.String, provider: Schema.optionalKey(Schema.String) },
  { httpApiStatus: 404 },
) {
  override readonly [ErrorReporter.ignore] = true
}

/** The provider could not be fetched: status 503. Core's `JwksUnavailable`, with its message. */
export class ProviderUnavailable extends Schema.TaggedError<ProviderUnavailable>()(
  "JwksUnavailable",
  {
    message,
    tenant: Schema.String,
    provider: Schema.optionalKey(Schema.String),
    reason: UnavailableReason,
    retryAfterMillis: Schema.optionalKey(
      Schema.Finite.annotate({ description: "When asking again may help, in milliseconds from now." }),
    ),
  },
  { httpApiStatus: 503 },
) {
  override readonly [ErrorReporter.ignore] = true
}
