/**
 * What a resolve answers with. Both models are frozen, and the same object on every hit of one set.
 */
import type { Jwk, JwsAlgorithm } from "./jwk/Jwk.ts"

/** `fresh` inside the freshness lifetime (RFC 9111 section 4.2), `stale` past it (RFC 5861 section 4). */
export type Freshness = "fresh" | "stale"

/** Options of a resolve. */
export interface ResolveKeyOptions {
  /** Which provider of the tenant; without it every provider of the tenant is asked. */
  readonly provider?: string
  /** The token's `alg`: it must fit the key and the provider's `algorithms`. */
  readonly alg?: string
  /** `false` refuses answers from a set past its lifetime. Default: `true`. */
  readonly allowStale?: boolean
  /** The signature check with this key, or with each of these, failed: look once for another key under the same kid. */
  readonly notThumbprint?: string | ReadonlyArray<string>
}

/** What a verifier has to know of a registered provider. Frozen. */
export interface RegisteredProvider {
  readonly tenant: string
  readonly provider: string
  /** Whose tokens it vouches for; no other provider of the tenant has the same. Absent where none was registered. */
  readonly issuer?: string
  /** The algorithms that its keys may be used with. */
  readonly algorithms: ReadonlyArray<JwsAlgorithm>
}

/** One public key, with the times of the set it comes from (epoch milliseconds). */
export interface ResolvedKey {
  readonly tenant: string
  readonly provider: string
  /** The key's own `kid`; absent where the provider gives none. */
  readonly kid: string | undefined
  readonly jwk: Jwk
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly thumbprint: string
  readonly freshness: Freshness
  /** When the set was last fetched or revalidated. */
  readonly fetchedAt: number
  /** When the set's freshness lifetime ends. */
  readonly expiresAt: number
}

/** The whole usable set of a provider (epoch milliseconds). */
export interface ResolvedJwks {
  readonly tenant: string
  readonly provider: string
  /** A JWK Set (RFC 7517 section 5) of the usable keys, typed as JOSE libraries type it, and frozen. */
  readonly jwks: { readonly keys: Array<Jwk> }
  readonly freshness: Freshness
  /** When the set was last fetched or revalidated. */
  readonly fetchedAt: number
  /** When the set's freshness lifetime ends. */
  readonly expiresAt: number
}

/** What changed between two sets, by RFC 7638 thumbprint. */
export interface KeyChanges {
  /** Thumbprints that appeared. */
  readonly added: ReadonlyArray<string>
  /** Thumbprints that vanished. */
  readonly removed: ReadonlyArray<string>
  /** A `kid` that now names another key. */
  readonly changed: ReadonlyArray<{ readonly kid: string; readonly from: string; readonly to: string }>
}

/** What a `refresh` found. */
export type RefreshOutcome =
  | (KeyChanges & { readonly _tag: "Updated"; readonly expiresAt: number })
  | { readonly _tag: "NotModified"; readonly expiresAt: number }

/** How one provider stood when `warmUp` ended. */
export interface WarmUpResult {
  readonly tenant: string
  readonly provider: string
  /** `usable`: a set is held. `failed`: the first flight failed. `timedOut`: neither in time. */
  readonly outcome: "usable" | "failed" | "timedOut"
  /** Why it failed, in words. */
  readonly reason?: string
}

/** What `persistAll` and `restoreFromPersistence` did. */
export interface PersistSummary {
  readonly done: number
  readonly skipped: number
  readonly failed: ReadonlyArray<{ readonly tenant: string; readonly provider: string; readonly reason: string }>
}
