/**
 * Providers as the API gives them. Times are epoch milliseconds.
 */
import { DropReason } from "@effect-jwks/core"
import * as Schema from "effect/Schema"
import { TimelineEvent } from "./TimelineModel.ts"

const Millis = Schema.Finite.annotate({ description: "Epoch milliseconds." })

const Count = Schema.Int

/**
 * `fresh` and `stale`: can answer, from a set inside or past its lifetime. `failed`: can not, and the last flight
 * failed. `waiting`: can not, and nothing has failed: not loaded yet, or idle.
 */
export const Health = Schema.Literals(["fresh", "stale", "failed", "waiting"])

/** How a provider does. */
export type Health = typeof Health.Type

const summary = {
  tenant: Schema.String,
  provider: Schema.String,
  url: Schema.String.annotate({ description: "Origin and path, never a query." }),
  state: Schema.Literals(["Empty", "Loading", "Ready", "Refreshing"]),
  health: Health,
  keys: Count.annotate({ description: "Usable keys held." }),
  dropped: Count.annotate({ description: "Keys of the document that can not be used." }),
  fetchedAt: Schema.optionalKey(Millis),
  nextRefreshAt: Schema.optionalKey(Millis),
  expiresAt: Schema.optionalKey(Millis),
  staleUntil: Schema.optionalKey(Millis),
  failure: Schema.optionalKey(
    Schema.Struct({
      reason: Schema.String.annotate({ description: "The tag of the reason, such as HttpStatus." }),
      message: Schema.String,
      at: Millis,
      count: Count.annotate({ description: "Failed flights in a row." }),
      nextAttemptAt: Schema.optionalKey(Millis),
    }),
  ),
  requests: Count,
  hits: Count,
  misses: Count,
  stale: Count.annotate({ description: "Resolves answered from a set past its lifetime." }),
  refreshes: Count,
  refreshErrors: Count,
  notModified: Count,
}

/** How one provider stands. */
export const ProviderSummary = Schema.Struct(summary).annotate({ identifier: "ProviderSummary" })

/** How one provider stands. */
export type ProviderSummary = typeof ProviderSummary.Type

/** Providers by their health. */
export const HealthCounts = Schema.Struct({ fresh: Count, stale: Count, failed: Count, waiting: Count })

/** One page of the providers that the filters let through. */
export const ProviderPage = Schema.Struct({
  now: Millis,
  total: Count.annotate({ description: "After all filters." }),
  counts: HealthCounts.annotate({ description: "After search and tenant, before the filter by health." }),
  offset: Count,
  items: Schema.Array(ProviderSummary),
}).annotate({ identifier: "ProviderPage" })

/** One page of the providers that the filters let through. */
export type ProviderPage = typeof ProviderPage.Type

/** The registered members of a public key (RFC 7517 section 4, RFC 7518 section 6); whatever else was published is left out. */
export const PublicJwk = Schema.Struct({
  kty: Schema.String,
  use: Schema.optionalKey(Schema.String),
  key_ops: Schema.optionalKey(Schema.Array(Schema.String)),
  alg: Schema.optionalKey(Schema.String),
  kid: Schema.optionalKey(Schema.String),
  x5u: Schema.optionalKey(Schema.String),
  x5c: Schema.optionalKey(Schema.Array(Schema.String)),
  x5t: Schema.optionalKey(Schema.String),
  "x5t#S256": Schema.optionalKey(Schema.String),
  n: Schema.optionalKey(Schema.String),
  e: Schema.optionalKey(Schema.String),
  crv: Schema.optionalKey(Schema.String),
  x: Schema.optionalKey(Schema.String),
  y: Schema.optionalKey(Schema.String),
  pub: Schema.optionalKey(Schema.String),
}).annotate({ identifier: "PublicJwk" })

/** One usable key of a provider. */
export const ProviderKey = Schema.Struct({
  kid: Schema.optionalKey(Schema.String),
  kty: Schema.String,
  alg: Schema.optionalKey(Schema.String),
  use: Schema.optionalKey(Schema.String),
  thumbprint: Schema.String.annotate({ description: "RFC 7638, SHA-256, base64url." }),
  jwk: Schema.optionalKey(PublicJwk).annotateKey({ description: "Absent while the provider can not answer." }),
})

/** One failed refresh. */
export const ProviderFailure = Schema.Struct({ at: Millis, reason: Schema.String, message: Schema.String })

/** One failed refresh. */
export type ProviderFailure = typeof ProviderFailure.Type

/** Everything about one provider. */
export const ProviderDetail = Schema.Struct({
  now: Millis,
  ...summary,
  keyList: Schema.Array(ProviderKey),
  droppedList: Schema.Array(Schema.Struct({ kid: Schema.optionalKey(Schema.String), reason: DropReason })),
  errors: Schema.Array(ProviderFailure).annotate({ description: "The last 20 failures, newest first." }),
  events: Schema.Array(TimelineEvent).annotate({ description: "The last 50 of the buffer, newest first." }),
}).annotate({ identifier: "ProviderDetail" })

/** Everything about one provider. */
export type ProviderDetail = typeof ProviderDetail.Type

/** What a forced refresh found: core's `RefreshOutcome`. */
export const RefreshResult = Schema.Union([
  Schema.TaggedStruct("Updated", {
    added: Schema.Array(Schema.String),
    removed: Schema.Array(Schema.String),
    changed: Schema.Array(Schema.Struct({ kid: Schema.String, from: Schema.String, to: Schema.String })),
    expiresAt: Millis,
  }),
  Schema.TaggedStruct("NotModified", { expiresAt: Millis }),
])
