/**
 * The typed floor on Effect's `Persistence`. Snapshots are not written yet, so both operations refuse.
 */
import * as Effect from "effect/Effect"
import { PersistenceFailed } from "../JwksError.ts"
import type { PersistSummary } from "../Resolved.ts"

const refused = new PersistenceFailed({
  rule: "snapshots are not supported yet: there is nowhere to write them to and nothing to read",
})

/** Writes what is held. */
export const persistAll: Effect.Effect<PersistSummary, PersistenceFailed> = Effect.fail(refused)

/** Reads what was written. */
export const restore: Effect.Effect<PersistSummary, PersistenceFailed> = Effect.fail(refused)
