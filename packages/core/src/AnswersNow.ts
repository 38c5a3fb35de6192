/**
 * Questions of a caller whose effect runs already: the answer itself, wherever it is there, without the effect that would
 * put the look-up off.
 *
 * **Gotchas**
 *
 * For the packages of this family; what is in here may change with any version. An answer is one of the moment: ask again
 * each time that the effect runs.
 */
import type * as Effect from "effect/Effect"
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
