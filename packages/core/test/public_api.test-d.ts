/**
 * What the public names promise as types; checked by `tsc -b`, never run.
 */
import {
  type InvalidRegistration,
  type Jwk,
  JwksMetrics,
  JwksRegistry,
  JwksRegistryLive,
  type JwksEvent,
  type JwksUnavailable,
  type NotRegistered,
  type PersistenceFailed,
  type PersistSummary,
  type ProviderStatus,
  type RefreshOutcome,
  type ResolvedJwks,
  type ResolvedKey,
  type ResolveError,
  type WarmUpResult,
} from "@effect-jwks/core"
import type * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Layer from "effect/Layer"
import type * as Persistence from "effect/persistence/Persistence"
import type * as Stream from "effect/Stream"
import type { JSONWebKeySet, JWK } from "jose"

type Equal<A, B> = [A, B] extends [B, A] ? true : false

const isTrue = <T extends true>(value: T): T => value

type Dependencies = HttpClient.HttpClient | Persistence.Persistence | JwksMetrics

const is =
  <Expected>() =>
  <Actual>(_: Actual, equal: Equal<Actual, Expected>) =>
    isTrue(equal as true)

export const layers = [
  is<Layer.Layer<JwksRegistry, never, Dependencies>>()(JwksRegistryLive, true),
  is<Layer.Layer<JwksRegistry, InvalidRegistration, Dependencies>>()(JwksRegistry.layer({}), true),
  is<Layer.Layer<JwksRegistry, InvalidRegistration | Config.ConfigError, Dependencies>>()(
    JwksRegistry.layerConfig({}),
    true,
  ),
  is<Layer.Layer<JwksMetrics>>()(JwksMetrics.layer, true),
  is<Layer.Layer<JwksMetrics>>()(JwksMetrics.layerNoop, true),
]

export const accessors = [
  is<Effect.Effect<void, InvalidRegistration, JwksRegistry>>()(
    JwksRegistry.register({ tenant: "a", provider: "b", jwksUrl: "https://id.example/jwks", minTtl: "1 minute" }),
    true,
  ),
  is<Effect.Effect<boolean, never, JwksRegistry>>()(JwksRegistry.unregister("a", "b"), true),
  is<Effect.Effect<number, never, JwksRegistry>>()(JwksRegistry.unregisterTenant("a"), true),
  is<Effect.Effect<ResolvedKey, ResolveError, JwksRegistry>>()(
    JwksRegistry.resolveKey("a", undefined, { provider: "b", alg: "ES256", allowStale: false, notThumbprint: "x" }),
    true,
  ),
  is<Effect.Effect<ResolvedJwks, ResolveError, JwksRegistry>>()(JwksRegistry.resolve("a", "b"), true),
  is<Effect.Effect<RefreshOutcome, NotRegistered | JwksUnavailable, JwksRegistry>>()(
    JwksRegistry.refresh("a", "b"),
    true,
  ),
  is<Effect.Effect<ReadonlyArray<WarmUpResult>, never, JwksRegistry>>()(
    JwksRegistry.warmUp({ timeout: "5 seconds" }),
    true,
  ),
  is<Effect.Effect<ProviderStatus, NotRegistered, JwksRegistry>>()(JwksRegistry.providerStatus("a", "b"), true),
  is<Effect.Effect<ReadonlyArray<ProviderStatus>, never, JwksRegistry>>()(JwksRegistry.allStatuses, true),
  is<Stream.Stream<JwksEvent, never, JwksRegistry>>()(JwksRegistry.events, true),
  is<Effect.Effect<PersistSummary, PersistenceFailed, JwksRegistry>>()(JwksRegistry.persistAll, true),
  is<Effect.Effect<PersistSummary, PersistenceFailed, JwksRegistry>>()(JwksRegistry.restoreFromPersistence, true),
]

/** Keys and sets go into a JOSE library as they are. */
export const key = (jwk: Jwk): JWK => jwk
export const set = ({ jwks }: ResolvedJwks): JSONWebKeySet => jwks

// @ts-expect-error: nothing answers without a tenant.
void JwksRegistry.resolveKey()

// @ts-expect-error: HMAC is no algorithm of a public key.
void JwksRegistry.register({ tenant: "a", provider: "b", jwksUrl: "https://id.example/jwks", algorithms: ["HS256"] })
