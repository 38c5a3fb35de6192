/**
 * Questions of a caller whose effect runs already: the answer itself, wherever it is there, without the effect that would
 * put the look-up off.
 *
 * **Gotchas**
 *
 * For the packages of this family; what is in here may change with any version. An answer is one of the moment: ask again
 * each time that the effect runs.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { NotRegistered, ResolveError } from "./JwksError.ts"
import type { JwksRegistryService } from "./JwksRegistryService.ts"
import type { RegisteredProvider, ResolvedKey, ResolveKeyOptions } from "./Resolved.ts"

/** {@link AnswersNow}'s member. */
export const answersNow: unique symbol = Symbol.for("@effect-jwks/core/answersNow")

/** What a registry of ours has besides the service. */
export interface AnswersNow {
  readonly [answersNow]: {
    /** `fiber`: who asks, where he may be traced. */
    readonly resolveKey: (
      tenant: string,
      kid: string | undefined,
      options?: ResolveKeyOptions,
      fiber?: Fiber.Fiber<unknown, unknown>,
    ) => Effect.Effect<ResolvedKey, ResolveError>
    readonly registrations: (tenant: string) => Effect.Effect<ReadonlyArray<RegisteredProvider>, NotRegistered>
  }
}

/** Whether the answer is there, and no error. */
export const isAnswered = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Success<A> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)

/** `flatMap` that goes on at once where the answer is there. */
export const andThenNow = <A, B, E1, E2>(
  effect: Effect.Effect<A, E1>,
  next: (value: A) => Effect.Effect<B, E2>,
): Effect.Effect<B, E1 | E2> => (isAnswered(effect) ? next(effect.value) : Effect.flatMap(effect, next))

/** A registry that is not ours, in somebody's test, has the service alone. */
type MaybeOurs = JwksRegistryService & Partial<AnswersNow>

/** `resolveKey`, as an `Exit` on a hit. */
export const resolveKeyNow = (
  registry: MaybeOurs,
  tenant: string,
  kid: string | undefined,
  options: ResolveKeyOptions | undefined,
  fiber: Fiber.Fiber<unknown, unknown>,
): Effect.Effect<ResolvedKey, ResolveError> =>
  registry[answersNow]?.resolveKey(tenant, kid, options, fiber) ?? registry.resolveKey(tenant, kid, options)

/** `registrations`, as an `Exit`. */
export const registrationsNow = (
  registry: MaybeOurs,
  tenant: string,
): Effect.Effect<ReadonlyArray<RegisteredProvider>, NotRegistered> =>
  registry[answersNow]?.registrations(tenant) ?? registry.registrations(tenant)
