/**
 * The model of the suite: what a provider does that it should not, which guard stands against it, and what
 * has to come of it.
 */
import type {
  DropReason,
  JwksRegistryOptions,
  ProviderRegistration,
  RetryPolicySettings,
  UnavailableReason,
} from "@effect-jwks/core"
import type { NodeJwksHttpOptions } from "@effect-jwks/node"
import type * as HttpClient from "effect/http/HttpClient"
import type { Answer } from "./Answer.ts"
import type { Chain } from "./Authorities.ts"
import type { GuardName } from "./guards.ts"

/** A request as it arrived. */
export interface Asked {
  /** Of the requests since the provider began to lie, counted from 1. */
  readonly nth: number
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** The `Host` field without its port. */
  readonly host: string
  /** By lower-case name; values of fields that came twice are joined by a comma. */
  readonly headers: ReadonlyMap<string, string>
  /** The common name of the client's certificate, if it showed one. */
  readonly clientName: string | undefined
}

/** What answers and registrations are written with: addresses that are known once the servers listen. */
export interface Place {
  /** A URL at the servers of the case; by default of the provider's host and scheme. */
  readonly url: (path: string, at?: { readonly host?: string; readonly scheme?: "http" | "https" }) => string
}

/** What has to come of it. */
export type Expected =
  /** The flight fails for this reason, whose sentence holds `says`; a set that was held stays. */
  | {
      readonly _tag: "Fails"
      readonly reason: UnavailableReason["_tag"]
      readonly says?: string
      /** Seconds until the next attempt, from and to. */
      readonly retries?: readonly [number, number]
    }
  /** The set has exactly these keys, and these entries were dropped. */
  | {
      readonly _tag: "Holds"
      readonly kids: ReadonlyArray<string>
      readonly dropped: ReadonlyArray<DropReason>
    }
  /** The new set lives for so many seconds, give or take two. */
  | { readonly _tag: "Lives"; readonly seconds: number; readonly staleSeconds?: number }
  /** The held set is confirmed. */
  | { readonly _tag: "Confirms" }
  /** Nobody gets a key under this kid, for this error. */
  | { readonly _tag: "Withholds"; readonly kid: string; readonly error: "KeyAmbiguous" | "KeyNotFound" }
  /** The registration is refused at this field by a rule that holds `says`. */
  | { readonly _tag: "RefusesRegistration"; readonly field: string; readonly says: string }

/** One case: a provider that lies, and what has to come of it. */
export interface HostileCase {
  readonly guard: GuardName
  /** Unique, and read as a sentence after the guard. */
  readonly title: string
  readonly expected: Expected
  /**
   * Whether the provider first gives a good set and lies when it is asked again, or lies from the first
   * answer on. Default: `refresh`.
   */
  readonly when?: "refresh" | "first"
  /** Where it lies from the first answer on as well, and that has to come out differently. */
  readonly asFirst?: Expected
  /** What the provider answers once it lies. Default: a good set with another key. */
  readonly answer?: Answer | ((asked: Asked, place: Place) => Answer)
  /** What the good answer before it says beside its body. */
  readonly goodHeaders?: ReadonlyArray<string>
  /** Default: `http`. */
  readonly scheme?: "http" | "https"
  /** What the TLS server shows under a name. Default: a chain of the trusted authority for that name. */
  readonly certificate?: (host: string, isLying: boolean) => Chain
  /** Whether the TLS server asks for a certificate. */
  readonly asksForCertificate?: boolean
  readonly registration?: Partial<ProviderRegistration> | ((place: Place) => Partial<ProviderRegistration>)
  /** How long the provider is waited for once it lies. Default: 2 s. */
  readonly retryPolicy?: RetryPolicySettings
  /** Another registration of the same registry, which has fetched before this one is made. */
  readonly neighbour?: Partial<ProviderRegistration>
  readonly options?: JwksRegistryOptions | ((place: Place) => JwksRegistryOptions)
  readonly http?: NodeJwksHttpOptions | ((place: Place) => NodeJwksHttpOptions)
  /**
   * How requests travel: to the address that names resolve to here; through a proxy, which makes every host
   * one of this machine; or by the stock fetch client. Default: `direct`.
   */
  readonly via?: "direct" | "proxy" | "fetch"
  /** What the proxy answers before it opens a tunnel. */
  readonly proxyInterim?: Answer
  /** What the proxy answers instead of opening a tunnel. */
  readonly proxyAnswer?: Answer
  /** What the http server says before it is asked. */
  readonly greeting?: Answer
  /** What fetch is given by the application. */
  readonly requestInit?: RequestInit
  /** How the application has wrapped the client. */
  readonly wrap?: (client: HttpClient.HttpClient) => HttpClient.HttpClient
  /** The hosts that may see a request. Default: the provider's alone. */
  readonly reaches?: ReadonlyArray<string>
  /** Whether an unused connection may stay open until the layer ends. */
  readonly keepsAlive?: boolean
}

// -----------------------------------------------------------------------------
// What is expected, in words
// -----------------------------------------------------------------------------

/** `reason`, what its sentence has to say, and between how many seconds the next attempt follows. */
export const fails = (
  reason: UnavailableReason["_tag"],
  says?: string,
  retries?: readonly [from: number, to: number],
): Expected => ({
  _tag: "Fails",
  reason,
  ...(says !== undefined && { says }),
  ...(retries !== undefined && { retries }),
})

export const holds = (...kids: ReadonlyArray<string>): Expected => ({ _tag: "Holds", kids, dropped: [] })

export const lives = (seconds: number, staleSeconds?: number): Expected => ({
  _tag: "Lives",
  seconds,
  ...(staleSeconds !== undefined && { staleSeconds }),
})

export const refusesRegistration = (field: string, says: string): Expected => ({
  _tag: "RefusesRegistration",
  field,
  says,
})

/** For what has no end: read until its limit also on a slow machine, and given up within a test's time should its guard be gone. */
export const oneAttempt: RetryPolicySettings = { maxRetries: 0, attemptTimeout: "10 seconds", deadline: "12 seconds" }

/** A case without its guard. */
export type CaseOf = Omit<HostileCase, "guard">

/** The cases of one guard. */
export const about = (guard: GuardName, ...cases: ReadonlyArray<CaseOf>): ReadonlyArray<HostileCase> =>
  cases.map((one) => ({ guard, ...one }))
