/**
 * Waiting that ends by the machine's clock, for what closes a layer.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"

/** Waits for an effect, but no longer than `duration` of the machine's clock; interrupts it then. */
export const withinMachineTime = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  duration: Duration.Input,
): Effect.Effect<Option.Option<A>, E, R> =>
  effect.pipe(
    Effect.timeoutOption(duration),
    // A test's clock stands still by the time that its layers are closed.
    Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
    // Finalizers are not, and what is not can not be timed out.
    Effect.interruptible,
  )
