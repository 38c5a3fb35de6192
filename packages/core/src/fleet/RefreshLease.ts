/**
 * The port for single flight across a fleet: whoever holds the lease asks the provider, the others take
 * what it brings. Alone, every process holds every lease.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** Whose lease it is. */
export interface LeaseKey {
  readonly tenant: string
  readonly provider: string
}

/** Runs a flight under a lease. */
export interface RefreshLeaseService {
  readonly around: <A, E, R>(key: LeaseKey, flight: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** The lease that flights run under; grants at once unless a fleet layer replaces it. */
export const RefreshLease = Context.Reference<RefreshLeaseService>("@effect-jwks/core/RefreshLease", {
  defaultValue: () => ({ around: (_, flight) => flight }),
})
