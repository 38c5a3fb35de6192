/**
 * What can be seen from outside the registry, as data: the oracle judges a trace of these, however it came about.
 */

/** The settings of one registration that the oracle knows, definite and in milliseconds. */
export interface Settings {
  readonly minTtl: number
  readonly maxTtl: number
  readonly defaultTtl: number
  readonly refreshEarly: number
  readonly prefetchJitter: number
  readonly staleWhileError: number
  readonly negativeCacheTtl: number
  readonly removedKeyGrace: number
  readonly kidRefresh: { readonly burst: number; readonly every: number }
  readonly maxRetries: number
  readonly attemptTimeout: number
  readonly deadline: number
  /** A transport setting: registering again with another one drops the set. */
  readonly maxRedirects: number
}

/** A key by its name and its RFC 7638 thumbprint. */
export interface PublishedKey {
  readonly kid: string
  readonly thumbprint: string
}

/** Whose keys are asked for; without `provider` those of the whole tenant. */
export interface Addressee {
  readonly tenant: string
  readonly provider?: string
}

/** What a caller asks. */
export type Question = Addressee &
  (
    | {
        readonly _tag: "ResolveKey"
        readonly kid: string | undefined
        readonly allowStale: boolean
        readonly notThumbprint?: string
      }
    | { readonly _tag: "Resolve"; readonly provider: string }
    | { readonly _tag: "Refresh"; readonly provider: string }
  )

/** The times and the label that every answer from a set carries. */
export interface Labels {
  readonly freshness: "fresh" | "stale"
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** What a caller gets. */
export type Answer =
  | ({ readonly _tag: "Key"; readonly tenant: string; readonly provider: string } & PublishedKey & Labels)
  | ({
      readonly _tag: "Set"
      readonly tenant: string
      readonly provider: string
      readonly keys: ReadonlyArray<PublishedKey>
    } & Labels)
  | { readonly _tag: "Refreshed"; readonly notModified: boolean; readonly expiresAt: number }
  | { readonly _tag: "NotRegistered" }
  | { readonly _tag: "KeyNotFound"; readonly confirmed: boolean; readonly dropped?: string }
  | { readonly _tag: "KeyAmbiguous" }
  | { readonly _tag: "JwksUnavailable"; readonly reason: string }
  /** A defect, an interruption, or a value that contradicts itself. */
  | { readonly _tag: "Broken"; readonly what: string }

/** What came of a request. */
export type Outcome =
  | {
      readonly _tag: "Response"
      readonly status: number
      readonly maxAge: number | undefined
      readonly age: number | undefined
      /** Seconds. */
      readonly retryAfter: number | undefined
      /** The usable keys of a 200; `undefined` for a body that is no JWK Set. */
      readonly keys: ReadonlyArray<PublishedKey> | undefined
    }
  | { readonly _tag: "Refused" }
  /** The registry left before there was a response. */
  | { readonly _tag: "Abandoned" }

/** What `providerStatus` says. */
export interface Status {
  readonly usable: boolean
  readonly freshness: "fresh" | "stale" | undefined
  readonly keys: ReadonlyArray<PublishedKey>
  readonly fetchedAt: number | undefined
  readonly expiresAt: number | undefined
  readonly staleUntil: number | undefined
}

/** What happened. */
export type Happening =
  | ({
      readonly _tag: "Registered"
      readonly provider: string
      readonly url: string
      readonly settings: Settings
    } & Addressee)
  | ({ readonly _tag: "Unregistered"; readonly provider: string } & Addressee)
  | { readonly _tag: "Asked"; readonly caller: number; readonly question: Question }
  /** The test interrupted the caller. */
  | { readonly _tag: "Left"; readonly caller: number }
  | { readonly _tag: "Answered"; readonly caller: number; readonly answer: Answer }
  | {
      readonly _tag: "Requested"
      readonly request: number
      readonly url: string
      /** How many flights of this generation were over when the request was sent. */
      readonly flight: number
      readonly noCache: boolean
      readonly conditional: boolean
    }
  | { readonly _tag: "Responded"; readonly request: number; readonly outcome: Outcome }
  /** Nothing more happens until time goes on; `undefined` for a provider that is not registered. */
  | { readonly _tag: "Settled"; readonly statuses: Readonly<Record<string, Status | undefined>> }
  | { readonly _tag: "Closed" }

/** What happened, and when (epoch milliseconds). */
export type TraceEvent = Happening & { readonly at: number }

/** One name for a provider of a tenant. */
export const slotOf = (tenant: string, provider: string): string => `${tenant}/${provider}`
