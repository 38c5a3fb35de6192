/**
 * A multi-tenant JWKS cache on Effect: see `JwksRegistry`.
 */
export { JwksRegistry, JwksRegistryLive } from "./JwksRegistry.ts"
export { JwksMemory } from "./JwksMemory.ts"
export type { JwksRegistryService } from "./JwksRegistryService.ts"
export * from "./JwksError.ts"
export type { JwksEvent, JwksEventBody, JwksEventContext } from "./JwksEvent.ts"
export { describeEvent, type LogLine } from "./JwksLog.ts"
export { JwksMetrics, type ProviderLabels, type ProviderMetrics, type ProviderReading } from "./metrics/JwksMetrics.ts"
export { TraceHits } from "./Tracing.ts"
export { TransportDemand, TransportGuards, TransportRefused } from "./http/Transport.ts"
export { addressRule, addressRuleOf } from "./security/AddressPolicy.ts"
export { bareHost, canonicalHost, isOneOf } from "./security/Host.ts"
export { allJwsAlgorithms, type Jwk, JwsAlgorithm } from "./jwk/Jwk.ts"
export { type DroppedKey, DropReason } from "./jwk/Jwks.ts"
export type {
  Jitter,
  JwksRegistryOptions,
  KidRefreshSettings,
  ProviderRegistration,
  ProviderSettings,
  RetryPolicySettings,
} from "./Provider.ts"
export { resilientPersistence } from "./persistence/ResilientPersistence.ts"
export type { ProviderStatus } from "./ProviderStatus.ts"
export type {
  Freshness,
  KeyChanges,
  PersistSummary,
  RegisteredProvider,
  RefreshOutcome,
  ResolvedJwks,
  ResolvedKey,
  ResolveKeyOptions,
  WarmUpResult,
} from "./Resolved.ts"
export { RefreshLease, type LeaseKey, type RefreshLeaseService } from "./fleet/RefreshLease.ts"
