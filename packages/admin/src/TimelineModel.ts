/**
 * Events as the API gives them: numbered, readable, and as JSON.
 */
import * as Schema from "effect/Schema"

/** One event of the registry. */
export const TimelineEvent = Schema.Struct({
  id: Schema.Int.annotate({ description: "Rises by one; also across restarts an id is never given twice." }),
  tenant: Schema.String,
  provider: Schema.String,
  time: Schema.Finite.annotate({ description: "Epoch milliseconds." }),
  tag: Schema.String.annotate({ description: "What happened, such as KeysChanged." }),
  level: Schema.Literals(["debug", "info", "warn", "error"]),
  text: Schema.String.annotate({ description: "One readable line." }),
  details: Schema.Record(Schema.String, Schema.Json).annotate({ description: "The event's other members." }),
}).annotate({ identifier: "TimelineEvent" })

/** One event of the registry. */
export type TimelineEvent = typeof TimelineEvent.Type

/** Events of the buffer, newest first. */
export const TimelinePage = Schema.Struct({
  items: Schema.Array(TimelineEvent),
  dropped: Schema.Int.annotate({ description: "Events that the buffer has let go since it was opened." }),
}).annotate({ identifier: "TimelinePage" })

/** Events of the buffer, newest first. */
export type TimelinePage = typeof TimelinePage.Type

/** How many events a subscriber has missed. */
export const Dropped = Schema.Struct({ dropped: Schema.Int })

/** What the event stream sends: an event, or how many were missed before the next one. */
export const StreamEvent = Schema.Union([
  Schema.Struct({
    id: Schema.String,
    event: Schema.Literal("jwks"),
    data: Schema.fromJsonString(TimelineEvent),
  }),
  Schema.Struct({
    id: Schema.optional(Schema.String),
    event: Schema.Literal("dropped"),
    data: Schema.fromJsonString(Dropped),
  }),
])
