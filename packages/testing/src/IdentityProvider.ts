/**
 * An identity provider as a test sees it, however it is reached: its URLs, keys, headers, faults and
 * log. `FakeProvider` answers on a socket, `ScriptedProvider` inside the process.
 */
import type * as Effect from "effect/Effect"
import type { JWTPayload } from "jose"
import type { Faults } from "./Faults.ts"
import type { ProviderKeys, ProviderKeysOptions, SignOptions } from "./ProviderKeys.ts"
import type { RequestLog } from "./RequestLog.ts"
import type { ResponseSettings } from "./ResponseSettings.ts"

/** How a provider begins; everything but the discovery form can be changed later. */
export interface IdentityProviderOptions {
  /** Its keys. Default: one generated ES256 key. */
  readonly keys?: ProviderKeysOptions
  /** The headers of its responses. */
  readonly response?: ResponseSettings
  /**
   * Which metadata it publishes: OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3, or none.
   * Default: `openid`.
   */
  readonly discovery?: "openid" | "oauth" | "none"
  /** Members of the metadata to add or to change; `undefined` leaves one out. */
  readonly metadata?: Readonly<Record<string, unknown>>
  /** How many requests the log keeps. Default: 100. */
  readonly keptRequests?: number
}

/** A provider that applications under test can talk to. */
export interface IdentityProvider extends RequestLog {
  readonly issuer: string
  readonly jwksUrl: string
  /** Where the metadata is, whether it is published or not. */
  readonly discoveryUrl: string
  readonly keys: ProviderKeys
  readonly faults: Faults
  /** Signs a token of this provider: `iss`, `iat` and an `exp` one hour ahead, where the claims name no other. */
  readonly token: (claims?: JWTPayload, options?: SignOptions) => Effect.Effect<string>
  /** Changes the headers of the responses from now on; what is not given stays. */
  readonly respondWith: (settings: ResponseSettings) => Effect.Effect<void>
  /** Changes members of the metadata, for a provider that moves or lies; `undefined` leaves one out. */
  readonly publishMetadata: (members: Readonly<Record<string, unknown>>) => Effect.Effect<void>
}
