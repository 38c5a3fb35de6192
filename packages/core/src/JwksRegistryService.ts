/**
 * What the registry offers.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type {
  InvalidRegistration,
  JwksUnavailable,
  NotRegistered,
  PersistenceFailed,
  ResolveError,
} from "./JwksError.ts"
import type { JwksEvent } from "./JwksEvent.ts"
import type { ProviderRegistration } from "./Provider.ts"
import type { ProviderStatus } from "./ProviderStatus.ts"
import type {
  PersistSummary,
  RegisteredProvider,
  RefreshOutcome,
  ResolvedJwks,
  ResolvedKey,
  ResolveKeyOptions,
  WarmUpResult,
} from "./Resolved.ts"

/** What the registry offers; each member is also a static accessor of `JwksRegistry`. */
export interface JwksRegistryService {
  /**
   * Registers a provider, or registers it again with other settings. Does no I/O on the caller's time.
   *
   * **Details**
   *
   * Registering again starts a new generation: the held set stays only if URL, issuer and every transport
   * setting are unchanged, and its times only get shorter.
   */
  readonly register: (registration: ProviderRegistration) => Effect.Effect<void, InvalidRegistration>
  /** Forgets a provider; `false` if it was not registered. Whoever waits for it gets `NotRegistered`. */
  readonly unregister: (tenant: string, provider: string) => Effect.Effect<boolean>
  /** Forgets every provider of a tenant; how many there were. */
  readonly unregisterTenant: (tenant: string) => Effect.Effect<number>
  /**
   * The key with this `kid` (RFC 7515 section 4.1.4), from memory wherever a usable set is held.
   *
   * **Details**
   *
   * Without `provider` every provider of the tenant is asked; a verifier should pass the provider that
   * the token's issuer belongs to. `kid` may be `undefined`: then exactly one key must fit.
   *
   * **Gotchas**
   *
   * `KeyNotFound` with `confirmed: false` is an outage, not a wrong token.
   */
  readonly resolveKey: (
    tenant: string,
    kid: string | undefined,
    options?: ResolveKeyOptions,
  ) => Effect.Effect<ResolvedKey, ResolveError>
  /** The providers of a tenant, in order of registration. The same frozen list until one of them changes. */
  readonly registrations: (tenant: string) => Effect.Effect<ReadonlyArray<RegisteredProvider>, NotRegistered>
  /** The whole usable set of a provider. */
  readonly resolve: (tenant: string, provider: string) => Effect.Effect<ResolvedJwks, ResolveError>
  /** Revalidates now or joins the flight under way; ignores every memory, back-off and budget. */
  readonly refresh: (tenant: string, provider: string) => Effect.Effect<RefreshOutcome, NotRegistered | JwksUnavailable>
  /** Waits until every registered provider is usable or has failed, at most `timeout`. */
  readonly warmUp: (options: { readonly timeout: Duration.Input }) => Effect.Effect<ReadonlyArray<WarmUpResult>>
  /** How one provider stands. */
  readonly providerStatus: (tenant: string, provider: string) => Effect.Effect<ProviderStatus, NotRegistered>
  /** How every provider stands, in order of registration within a tenant. */
  readonly allStatuses: Effect.Effect<ReadonlyArray<ProviderStatus>>
  /** What happens from now on; a subscriber that lags behind loses the oldest events. */
  readonly events: Stream.Stream<JwksEvent>
  /** Writes every held set to the store. */
  readonly persistAll: Effect.Effect<PersistSummary, PersistenceFailed>
  /** Reads sets from the store, with their original times. */
  readonly restoreFromPersistence: Effect.Effect<PersistSummary, PersistenceFailed>
}
