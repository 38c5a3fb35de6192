/**
 * What happened, as data: everything that an operator or an audit trail may want to know. Each event
 * carries its tenant, its provider and its time (epoch milliseconds).
 */
import type { UnavailableReason } from "./JwksError.ts"
import type { DropReason } from "./jwk/Jwks.ts"
import type { KeyChanges } from "./Resolved.ts"

/** Whose event it is, and when it happened (epoch milliseconds). */
export interface JwksEventContext {
  readonly tenant: string
  readonly provider: string
  readonly time: number
}

/** What happened. */
export type JwksEventBody =
  /** A provider was registered, or registered again. */
  | { readonly _tag: "ProviderRegistered"; readonly url: string; readonly replaced: boolean }
  | { readonly _tag: "ProviderUnregistered" }
  /** A flight brought a set, or the provider confirmed the one that is held (304). */
  | {
      readonly _tag: "RefreshSucceeded"
      readonly notModified: boolean
      readonly keys: number
      readonly durationMillis: number
      readonly expiresAt: number
    }
  /** A flight failed; `count` flights in a row by now. The held set, if any, is untouched. */
  | {
      readonly _tag: "RefreshFailed"
      readonly reason: UnavailableReason
      readonly count: number
      readonly durationMillis: number
      readonly nextAttemptAt: number
    }
  /** The first success after `failures` failed flights. */
  | { readonly _tag: "RefreshRecovered"; readonly failures: number }
  /** The set changed, or is the first; `kids` gives the kid of each thumbprint that has one. */
  | (KeyChanges & {
      readonly _tag: "KeysChanged"
      readonly isFirst: boolean
      readonly kids: Readonly<Record<string, string>>
    })
  /** The issuer's metadata named the URL of the JWK Set for the first time, or another one than `previous`. */
  | { readonly _tag: "JwksUrlDiscovered"; readonly url: string; readonly previous?: string }
  /** The issuer's metadata could not be read again, `count` times in a row by now; the known URL stays. */
  | { readonly _tag: "RediscoveryFailed"; readonly reason: UnavailableReason; readonly count: number }
  /** A key of the document is newly unusable; 16 are told after a flight, and with the last one how many `more`. */
  | { readonly _tag: "KeyDropped"; readonly kid?: string; readonly reason: DropReason; readonly more?: number }
  /** From now on answers come from a set that is past its lifetime, until `until` at the latest. */
  | { readonly _tag: "StaleServing"; readonly until: number }
  /** Stale serving ended, by a good refresh or by the end of the window. */
  | { readonly _tag: "StaleEnded"; readonly recovered: boolean }
  /** Somebody asked for a kid that the set lacks; reported once per look-up upstream, or per refusal period. */
  | {
      readonly _tag: "UnknownKid"
      readonly kid?: string
      readonly confirmed: boolean
      readonly retryAfterMillis?: number
    }
  /** A set came back from its snapshot, with the times that it had. */
  | {
      readonly _tag: "SnapshotRestored"
      readonly keys: number
      readonly fetchedAt: number
      readonly expiresAt: number
      readonly staleUntil: number
    }
  /** A stored snapshot was not used. */
  | { readonly _tag: "SnapshotIgnored"; readonly rule: string }
  /**
   * The provider's snapshot could not be read, written or removed; told once, until it succeeds. `isFirst`:
   * nobody's trouble with the store was told before, or it is this snapshot's alone.
   */
  | {
      readonly _tag: "SnapshotFailed"
      readonly operation: "read" | "write" | "remove"
      readonly rule: string
      readonly isFirst: boolean
    }
  /** The store can be read, written or removed from again, as this provider's snapshot shows. */
  | { readonly _tag: "SnapshotStoreRecovered"; readonly operation: "read" | "write" | "remove" }

/** One event. */
export type JwksEvent = JwksEventBody & JwksEventContext
