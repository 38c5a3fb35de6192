/**
 * What the steps judge by: conditions, the counts on both sides of the wire, and time that passes.
 */
import { JwksRegistry, type ProviderStatus } from "@effect-jwks/core"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { World } from "./world.ts"

/** A step did not hold. */
export class StepFailed extends Schema.TaggedError<StepFailed>()("StepFailed", { message: Schema.String }) {}

export const fail = (message: string): Effect.Effect<never, StepFailed> => Effect.fail(new StepFailed({ message }))

export const check = (holds: boolean, otherwise: string): Effect.Effect<void, StepFailed> =>
  holds ? Effect.void : fail(otherwise)

// -----------------------------------------------------------------------------
// Counts
// -----------------------------------------------------------------------------

/** What the providers counted at their sockets, and what the registry says. */
export interface Counts {
  readonly requests: number
  readonly notModified: number
  readonly hits: number
  readonly misses: number
  readonly stale: number
}

export const readCounts = (world: World): Effect.Effect<Counts, never, JwksRegistry> =>
  Effect.map(JwksRegistry.allStatuses, (statuses) => ({
    requests: world.a.requests + world.b.requests,
    notModified: world.a.notModified + world.b.notModified,
    hits: sum(statuses, ({ hits }) => hits),
    misses: sum(statuses, ({ misses }) => misses),
    stale: sum(statuses, ({ stale }) => stale),
  }))

export const sum = (statuses: ReadonlyArray<ProviderStatus>, count: (status: ProviderStatus) => number): number =>
  statuses.reduce((total, status) => total + count(status), 0)

/** How much was counted while an effect ran. */
export const counting = Effect.fnUntraced(function* <A, E, R>(world: World, effect: Effect.Effect<A, E, R>) {
  const before = yield* readCounts(world)
  const result = yield* effect
  const after = yield* readCounts(world)
  const counts: Counts = {
    requests: after.requests - before.requests,
    notModified: after.notModified - before.notModified,
    hits: after.hits - before.hits,
    misses: after.misses - before.misses,
    stale: after.stale - before.stale,
  }
  return { result, counts }
})

// -----------------------------------------------------------------------------
// Time
// -----------------------------------------------------------------------------

/** Moves the clock ahead, and waits until the registry has tried every provider since. */
export const advance = Effect.fnUntraced(function* (world: World, duration: Duration.Input) {
  yield* settled
  yield* world.clock.jump(duration)
  const jumpedAt = yield* Clock.currentTimeMillis
  yield* until(
    "every provider was tried",
    ({ failure, fetchedAt }) => Math.max(fetchedAt ?? 0, failure?.at ?? 0) >= jumpedAt,
  )
  yield* settled
})

/** Waits until `condition` holds for every provider, at most 5 s. */
const until = (name: string, condition: (status: ProviderStatus) => boolean) =>
  JwksRegistry.allStatuses.pipe(
    Effect.repeat({ until: (statuses) => statuses.every(condition), schedule: Schedule.spaced("5 millis") }),
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => fail(`waited in vain until ${name}`) }),
  )

/** No request of the registry is under way. */
export const settled = until("no refresh is under way", ({ state }) => state === "Ready" || state === "Empty")
