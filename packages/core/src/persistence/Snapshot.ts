/**
 * The one thing that is persisted: a provider's set with its times. What is known of the set stands first, as
 * JSON in one line, and the document follows, so that it need not be parsed before somebody asks for its keys.
 * Times are epoch milliseconds of the wall clock, the only clock that outlives a process.
 */
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** Any number that JSON can hold; what it means for the set is judged when it is restored. */
const Millis = Schema.Number

const Description = Schema.Struct({
  tenant: Schema.String,
  provider: Schema.String,
  /** The URL that was asked for the JWK Set, before redirects. */
  url: Schema.String,
  /** The URL that answered, where redirects led elsewhere. */
  finalUrl: Schema.optionalKey(Schema.String),
  /** Whose tokens the provider vouches for, and where the URL may have been discovered. */
  issuer: Schema.optionalKey(Schema.String),
  /** Of the settings that decide how it is fetched. */
  digest: Schema.String,
  /** Of the key policy and the clamps that the set passed. */
  rules: Schema.String,
  /** Keys that passed. */
  usableKeys: Schema.Number,
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

/** What is known of a stored set. */
export type Description = typeof Description.Type

/** A set and its times, as they are stored. */
export interface Snapshot extends Description {
  /** The JWK Set (RFC 7517 section 5) as it was published, without what is secret: JSON. */
  readonly document: string
}

const isDescription = Schema.is(Description)

/** Why a snapshot can not be written or used: a readable phrase that never quotes it. */
export interface SnapshotRule {
  readonly rule: string
}

const refuse = (rule: string): Result.Result<never, SnapshotRule> => Result.fail({ rule })

/** What a snapshot may be long, in characters: JSON that is written anew can be longer than it was. */
const maxLength = (maxResponseBytes: number): number => 2 * maxResponseBytes + 65_536

/** The text of a snapshot. */
export const encode = (
  description: Description,
  keys: ReadonlyArray<unknown>,
  maxResponseBytes: number,
): Result.Result<string, SnapshotRule> => {
  // Values that came from JSON: what can go wrong is the depth alone.
  const text = Result.try(() => `${JSON.stringify(description)}\n${JSON.stringify({ keys })}`)
  if (Result.isFailure(text)) return refuse("the document nests too deeply to be written")
  return text.success.length > maxLength(maxResponseBytes) ? refuse("is too large") : Result.succeed(text.success)
}

const torn: SnapshotRule = { rule: "is no JSON: torn or overwritten" }
const incomplete = refuse("lacks what a snapshot has")

const parse = (json: string): Result.Result<unknown, SnapshotRule> =>
  Result.mapError(
    Result.try((): unknown => JSON.parse(json)),
    () => torn,
  )

/** Reads what {@link encode} wrote, but for its document; longer ones than it writes are not looked at. */
export const decode = (text: string, maxResponseBytes: number): Result.Result<Snapshot, SnapshotRule> => {
  if (text.length > maxLength(maxResponseBytes)) return refuse("is too large")
  const end = text.indexOf("\n")
  const description = parse(end < 0 ? text : text.slice(0, end))
  if (Result.isFailure(description)) return Result.fail(description.failure)
  return end >= 0 && isDescription(description.success)
    ? Result.succeed({ ...description.success, document: text.slice(end + 1) })
    : incomplete
}

/** The keys of a snapshot's document. */
export const keysOf = ({ document }: Snapshot): Result.Result<ReadonlyArray<unknown>, SnapshotRule> =>
  Result.flatMap(parse(document), (json) =>
    hasProperty(json, "keys") && Array.isArray(json.keys) ? Result.succeed(json.keys) : incomplete,
  )
