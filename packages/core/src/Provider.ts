/**
 * What a caller says about a provider and about the registry, the defaults, and the same settings
 * made definite (milliseconds, nothing absent) as the cache works with them.
 */
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type { JwksMemory } from "./JwksMemory.ts"
import { allJwsAlgorithms, type JwsAlgorithm } from "./jwk/Jwk.ts"

/** How back-off delays are randomised: not at all, from 0 to the backoff, or from the previous delay. */
export type Jitter = "none" | "full" | "decorrelated"

/** How the attempts of one flight are retried. */
export interface RetryPolicySettings {
  /** Attempts after the first; 0 to 10. */
  readonly maxRetries?: number
  /** Limit of one attempt, redirects and body included. */
  readonly attemptTimeout?: Duration.Input
  /** First back-off; doubles with each retry. */
  readonly initialBackoff?: Duration.Input
  /** Longest back-off. */
  readonly maxBackoff?: Duration.Input
  /** Hard limit of the whole flight, waiting for a permit included. */
  readonly deadline?: Duration.Input
  readonly jitter?: Jitter
}

/** Token bucket for revalidations that unknown kids force. */
export interface KidRefreshSettings {
  /** Tokens of a full bucket. */
  readonly burst?: number
  /** How long until one token comes back. */
  readonly every?: Duration.Input
}

/** Everything that can be set for one provider; an absent field takes the registry's `defaults`. */
export interface ProviderSettings {
  /** Algorithms that the provider's keys may be used with. Default: all asymmetric JWS algorithms. */
  readonly algorithms?: ReadonlyArray<JwsAlgorithm>
  /** `false` allows http, if the registry's `requireHttps` is `false` too. Default: `true`. */
  readonly requireHttps?: boolean
  /** The host must equal or be under one of these, on the first URL and on every hop. Default: no limit. */
  readonly allowedDomains?: ReadonlyArray<string>
  /** Shortest lifetime of a set; at least 30 s. Default: 60 s. */
  readonly minTtl?: Duration.Input
  /** Longest lifetime of a set; at most 30 days. Default: 24 h. */
  readonly maxTtl?: Duration.Input
  /** Lifetime when the response says nothing usable. Default: 10 min. */
  readonly defaultTtl?: Duration.Input
  /** Lead of the background refresh before expiry; at least 1 s. Default: 30 s. */
  readonly refreshEarly?: Duration.Input
  /** Random extra lead. Default: 5 s. */
  readonly prefetchJitter?: Duration.Input
  /** How long past expiry the last good set may be served while refreshes fail. Default: 1 h. */
  readonly staleWhileError?: Duration.Input
  /** How long a proven absence of a kid and a failed first fetch are remembered. Default: 30 s. */
  readonly negativeCacheTtl?: Duration.Input
  /** Budget of revalidations that unknown kids force. Default: `{ burst: 2, every: "30 seconds" }`. */
  readonly kidRefresh?: KidRefreshSettings
  readonly retryPolicy?: RetryPolicySettings
  /** Longest body in decoded bytes; at most 16 MiB. Default: 1 MiB. */
  readonly maxResponseBytes?: number
  /** Most entries of a document; at most 10,000. Default: 2048. */
  readonly maxKeys?: number
  /** Longest chain of redirects; 0 to 10. Default: 3. */
  readonly maxRedirects?: number
  /** base64 SHA-256 digests of SubjectPublicKeyInfo; refused while the transport cannot enforce them. */
  readonly pinnedSpki?: ReadonlyArray<string>
  /** Shortest RSA modulus in bits. Default: 2048. */
  readonly minRsaBits?: number
  /** How long a key that vanished from the document still resolves. Default: 0. */
  readonly removedKeyGrace?: Duration.Input
  /** RFC 9111 to the letter. Default: `false`. */
  readonly strictHttp?: boolean
  /** Fetch in the background at registration; `false` waits for the first use. Default: `true`. */
  readonly warm?: boolean
}

/** One provider of one tenant. */
export interface ProviderRegistration extends ProviderSettings {
  /** 1 to 128 printable ASCII characters without spaces. */
  readonly tenant: string
  /** 1 to 128 printable ASCII characters without spaces. */
  readonly provider: string
  /** Where the JWK Set is: an absolute URL without userinfo and fragment. */
  readonly jwksUrl?: string
  /**
   * Whose tokens the provider vouches for (OpenID Connect Discovery 1.0 section 3). Without `jwksUrl` its
   * metadata are asked for the URL.
   */
  readonly issuer?: string
}

/** A secret that signs snapshots, as text (its UTF-8 form) or bytes. */
export type SnapshotKey = string | Uint8Array | Redacted.Redacted<string> | Redacted.Redacted<Uint8Array>

/** Options of the registry. */
export interface JwksRegistryOptions {
  /** `false` lets registrations allow http. Default: `true`. */
  readonly requireHttps?: boolean
  /** Every host must equal or be under one of these. Default: no limit. */
  readonly allowedDomains?: ReadonlyArray<string>
  /** What a registration takes where it says nothing. */
  readonly defaults?: ProviderSettings
  /** What no registration may loosen. */
  readonly limits?: ProviderSettings
  /** Providers that are registered when the layer is built. */
  readonly providers?: ReadonlyArray<ProviderRegistration>
  /** Most attempts upstream at a time. Default: 16. */
  readonly maxConcurrentFetches?: number
  /** Most providers of one tenant. Default: 16. */
  readonly maxProvidersPerTenant?: number
  /** `true`, or the hosts for which private and loopback addresses are allowed. Default: `false`. */
  readonly allowPrivateAddresses?: boolean | ReadonlyArray<string>
  /** Providers that no resolve has used for so long are left to expire. Default: never. */
  readonly idleAfter?: Duration.Input
  /** Whether metrics carry `tenant` and `provider`. Default: `"provider"`. */
  readonly metricLabels?: "provider" | "none"
  /**
   * Key or keys that sign snapshots (HMAC-SHA-256), at most 16: the first signs, each may have signed. 32
   * random bytes are a good one. Default: a random one, which no other process can know.
   */
  readonly snapshotKey?: SnapshotKey | ReadonlyArray<SnapshotKey>
  /** What the storage keys of this registry's snapshots begin with. Default: `effect-jwks`. */
  readonly snapshotNamespace?: string
  /** Whether unsigned snapshots are accepted, and written where there is no key. Default: `false`. */
  readonly unsignedSnapshots?: boolean
  /** Events that a slow subscriber may lag behind before the oldest are dropped. Default: 1024. */
  readonly eventBuffer?: number
  /**
   * Makes it a registry for one request, over a memory that outlives it: for platforms that forbid one request to
   * wait for another's I/O, or that freeze between two. Default: none, the registry lives on and has timers.
   */
  readonly memory?: JwksMemory
  /** What requests say in `User-Agent` (RFC 9110 section 10.1.5). Default: `effect-jwks`. */
  readonly userAgent?: string
}

/** {@link ProviderSettings} made definite: durations in milliseconds, nothing absent but pins. */
export interface ResolvedSettings {
  readonly algorithms: ReadonlyArray<JwsAlgorithm>
  readonly requireHttps: boolean
  readonly allowedDomains: ReadonlyArray<string>
  readonly minTtl: number
  readonly maxTtl: number
  readonly defaultTtl: number
  readonly refreshEarly: number
  readonly prefetchJitter: number
  readonly staleWhileError: number
  readonly negativeCacheTtl: number
  readonly kidRefresh: { readonly burst: number; readonly every: number }
  readonly retryPolicy: {
    readonly maxRetries: number
    readonly attemptTimeout: number
    readonly initialBackoff: number
    readonly maxBackoff: number
    readonly deadline: number
    readonly jitter: Jitter
  }
  readonly maxResponseBytes: number
  readonly maxKeys: number
  readonly maxRedirects: number
  readonly pinnedSpki: ReadonlyArray<string>
  readonly minRsaBits: number
  readonly removedKeyGrace: number
  readonly strictHttp: boolean
  readonly warm: boolean
}

/** A registration that passed every rule. */
export interface Provider {
  readonly tenant: string
  readonly provider: string
  readonly source: JwksSource
  /** Whose tokens the provider vouches for. */
  readonly issuer: string | undefined
  readonly settings: ResolvedSettings
}

/** Where a provider's JWK Set is: at the URL that was registered, or where the issuer's metadata say. */
export type JwksSource =
  | { readonly _tag: "Registered"; readonly jwksUrl: URL }
  | { readonly _tag: "Discovered"; readonly issuer: string; readonly metadataUrl: URL }

/** The URL that was registered, or under which the metadata are looked for first. */
export const sourceUrl = (source: JwksSource): URL =>
  source._tag === "Registered" ? source.jwksUrl : source.metadataUrl

/** What a registration gets where neither it nor the registry's `defaults` say anything. */
export const defaultSettings: ResolvedSettings = {
  algorithms: allJwsAlgorithms,
  requireHttps: true,
  allowedDomains: [],
  minTtl: 60_000,
  maxTtl: 24 * 3_600_000,
  defaultTtl: 600_000,
  refreshEarly: 30_000,
  prefetchJitter: 5_000,
  staleWhileError: 3_600_000,
  negativeCacheTtl: 30_000,
  kidRefresh: { burst: 2, every: 30_000 },
  retryPolicy: {
    maxRetries: 2,
    attemptTimeout: 3_000,
    initialBackoff: 250,
    maxBackoff: 2_000,
    deadline: 8_000,
    jitter: "full",
  },
  maxResponseBytes: 1_048_576,
  maxKeys: 2_048,
  maxRedirects: 3,
  pinnedSpki: [],
  minRsaBits: 2_048,
  removedKeyGrace: 0,
  strictHttp: false,
  warm: true,
}
