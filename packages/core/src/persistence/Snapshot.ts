/**
 * The one thing that is persisted: a provider's set with its times, as JSON. Times are epoch milliseconds
 * of the wall clock, the only clock that outlives a process.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** Any number that JSON can hold; what it means for the set is judged when it is restored. */
const Millis = Schema.Number

const Snapshot = Schema.Struct({
  tenant: Schema.String,
  provider: Schema.String,
  /** The URL that was asked for the JWK Set, before redirects. */
  url: Schema.String,
  /** Whose tokens the provider vouches for, and where the URL may have been discovered. */
  issuer: Schema.optionalKey(Schema.String),
  /** Of the settings that decide what is fetched from where. */
  digest: Schema.String,
  /** The key policy and the clamps that the set passed, as one text. */
  rules: Schema.String,
  /** Keys that passed. */
  usableKeys: Schema.Number,
  /** The JWK Set (RFC 7517 section 5) as it was published, without what is secret. */
  document: Schema.Struct({ keys: Schema.Array(Schema.Unknown) }),
  /** The response's fields that bear on the set's lifetime. */
  headers: Schema.Record(Schema.String, Schema.String),
  validators: Schema.optionalKey(
    Schema.Struct({
      url: Schema.String,
      etag: Schema.optionalKey(Schema.String),
      lastModified: Schema.optionalKey(Schema.String),
    }),
  ),
  /** When the set was last fetched or confirmed. */
  fetchedAt: Millis,
  /** When the document itself was last received. */
  fetchedInFullAt: Millis,
  expiresAt: Millis,
  staleUntil: Millis,
})

/** A set and its times, as they are stored. */
export type Snapshot = typeof Snapshot.Type

const isSnapshot = Schema.is(Snapshot)

/** Why a snapshot can not be written or used: a readable phrase that never quotes it. */
export interface SnapshotRule {
  readonly rule: string
}

const refuse = (rule: string): Result.Result<never, SnapshotRule> => Result.fail({ rule })

/** What a snapshot may be long, in characters: JSON that is written anew can be longer than it was. */
const maxLength = (maxResponseBytes: number): number => 2 * maxResponseBytes + 65_536

/** The text of a snapshot. */
export const encode = (snapshot: Snapshot, maxResponseBytes: number): Result.Result<string, SnapshotRule> => {
  // Values that came from JSON: what can go wrong is the depth alone.
  const text = Result.try(() => JSON.stringify(snapshot))
  if (Result.isFailure(text)) return refuse("the document nests too deeply to be written")
  return text.success.length > maxLength(maxResponseBytes) ? refuse("is too large") : Result.succeed(text.success)
}

/** Reads what {@link encode} wrote; longer ones than it writes are not looked at. */
export const decode = (text: string, maxResponseBytes: number): Result.Result<Snapshot, SnapshotRule> => {
  if (text.length > maxLength(maxResponseBytes)) return refuse("is too large")
  const json = Result.try((): unknown => JSON.parse(text))
  if (Result.isFailure(json)) return refuse("is no JSON: torn or overwritten")
  return isSnapshot(json.success) ? Result.succeed(json.success) : refuse("lacks what a snapshot has")
}
