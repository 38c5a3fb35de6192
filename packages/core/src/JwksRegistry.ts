/**
 * The service: many identity providers of many tenants, and the one question that applications ask,
 * "which key has this kid".
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import * as Persistence from "effect/persistence/Persistence"
import { resolveKeyNow } from "./AnswersNow.ts"
import type {
  InvalidRegistration,
  JwksUnavailable,
  NotRegistered,
  PersistenceFailed,
  ResolveError,
} from "./JwksError.ts"
import type { JwksEvent } from "./JwksEvent.ts"
import type { JwksRegistryService } from "./JwksRegistryService.ts"
import { JwksMetrics } from "./metrics/JwksMetrics.ts"
import type { JwksRegistryOptions, ProviderRegistration } from "./Provider.ts"
import type { ProviderStatus } from "./ProviderStatus.ts"
import { makeRegistry } from "./Registry.ts"
import type {
  PersistSummary,
  RegisteredProvider,
  RefreshOutcome,
  ResolvedJwks,
  ResolvedKey,
  ResolveKeyOptions,
  WarmUpResult,
} from "./Resolved.ts"

/** Layers that a user swaps. */
type Dependencies = HttpClient.HttpClient | Persistence.Persistence | JwksMetrics

/**
 * A cache of the public keys of many identity providers for many tenants.
 *
 * **Example**
 *
 * ```ts
 * import { JwksMetrics, JwksRegistry, JwksRegistryLive } from "@effect-jwks/core"
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { Persistence } from "effect/persistence"
 *
 * const JwksLive = JwksRegistryLive.pipe(
 *   Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layer])
 * )
 *
 * export const program = Effect.gen(function* () {
 *   yield* JwksRegistry.register({
 *     tenant: "acme",
 *     provider: "auth0",
 *     jwksUrl: "https://acme.eu.auth0.com/.well-known/jwks.json"
 *   })
 *   return yield* JwksRegistry.resolveKey("acme", "kid-from-the-token")
 * }).pipe(Effect.provide(JwksLive))
 * ```
 */
export class JwksRegistry extends Context.Service<JwksRegistry, JwksRegistryService>()(
  "@effect-jwks/core/JwksRegistry",
) {
  /** The registry with options; wrong options or providers fail the layer with every breach. */
  static layer(options: JwksRegistryOptions): Layer.Layer<JwksRegistry, InvalidRegistration, Dependencies> {
    return Layer.effect(
      JwksRegistry,
      Effect.gen(function* () {
        const client = yield* HttpClient.HttpClient
        const metrics = yield* JwksMetrics
        return yield* makeRegistry(options, client, yield* Persistence.Persistence, metrics)
      }),
    )
  }

  /** The registry with options from effect's `Config`; a `ConfigError` names the key. */
  static layerConfig(
    config: Config.Wrap<JwksRegistryOptions>,
  ): Layer.Layer<JwksRegistry, InvalidRegistration | Config.ConfigError, Dependencies> {
    return Layer.unwrap(Effect.map(Config.unwrap(config), (options) => JwksRegistry.layer(options)))
  }

  /** See {@link JwksRegistryService.register}. */
  static register(registration: ProviderRegistration): Effect.Effect<void, InvalidRegistration, JwksRegistry> {
    return JwksRegistry.use((registry) => registry.register(registration))
  }

  /** See {@link JwksRegistryService.unregister}. */
  static unregister(tenant: string, provider: string): Effect.Effect<boolean, never, JwksRegistry> {
    return JwksRegistry.use((registry) => registry.unregister(tenant, provider))
  }

  /** See {@link JwksRegistryService.unregisterTenant}. */
  static unregisterTenant(tenant: string): Effect.Effect<number, never, JwksRegistry> {
    return JwksRegistry.use((registry) => registry.unregisterTenant(tenant))
  }

  /** See {@link JwksRegistryService.resolveKey}. */
  static resolveKey(
    tenant: string,
    kid: string | undefined,
    options?: ResolveKeyOptions,
  ): Effect.Effect<ResolvedKey, ResolveError, JwksRegistry> {
    return Effect.withFiber((fiber) =>
      resolveKeyNow(Context.getUnsafe(fiber.context, JwksRegistry), tenant, kid, options, fiber),
    )
  }

  /** See {@link JwksRegistryService.registrations}. */
  static registrations(tenant: string): Effect.Effect<ReadonlyArray<RegisteredProvider>, NotRegistered, JwksRegistry> {
    return JwksRegistry.use((registry) => registry.registrations(tenant))
  }

  /** See {@link JwksRegistryService.resolve}. */
  static resolve(tenant: string, provider: string): Effect.Effect<ResolvedJwks, ResolveError, JwksRegistry> {
    return JwksRegistry.use((registry) => registry.resolve(tenant, provider))
  }

  /** See {@link JwksRegistryService.refresh}. */
  static refresh(
    tenant: string,
    provider: string,
  ): Effect.Effect<RefreshOutcome, NotRegistered | JwksUnavailable, JwksRegistry> {
    return JwksRegistry.use((registry) => registry.refresh(tenant, provider))
  }

  /** See {@link JwksRegistryService.warmUp}. */
  static warmUp(options: {
    readonly timeout: Duration.Input
  }): Effect.Effect<ReadonlyArray<WarmUpResult>, never, JwksRegistry> {
    return JwksRegistry.use((registry) => registry.warmUp(options))
  }

  /** See {@link JwksRegistryService.providerStatus}. */
  static providerStatus(tenant: string, provider: string): Effect.Effect<ProviderStatus, NotRegistered, JwksRegistry> {
    return JwksRegistry.use((registry) => registry.providerStatus(tenant, provider))
  }

  /** See {@link JwksRegistryService.allStatuses}. */
  static readonly allStatuses: Effect.Effect<ReadonlyArray<ProviderStatus>, never, JwksRegistry> = Effect.suspend(() =>
    JwksRegistry.use((registry) => registry.allStatuses),
  )

  /** See {@link JwksRegistryService.events}. */
  static readonly events: Stream.Stream<JwksEvent, never, JwksRegistry> = Stream.unwrap(
    Effect.suspend(() => JwksRegistry.use((registry) => Effect.succeed(registry.events))),
  )

  /** See {@link JwksRegistryService.persistAll}. */
  static readonly persistAll: Effect.Effect<PersistSummary, PersistenceFailed, JwksRegistry> = Effect.suspend(() =>
    JwksRegistry.use((registry) => registry.persistAll),
  )

  /** See {@link JwksRegistryService.restoreFromPersistence}. */
  static readonly restoreFromPersistence: Effect.Effect<PersistSummary, PersistenceFailed, JwksRegistry> =
    Effect.suspend(() => JwksRegistry.use((registry) => registry.restoreFromPersistence))
}

/** The registry with default options; providers are registered at run time. */
export const JwksRegistryLive: Layer.Layer<JwksRegistry, never, Dependencies> = JwksRegistry.layer({}).pipe(Layer.orDie)
