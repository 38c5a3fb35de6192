/**
 * How the API is served, and to whom.
 */
import type * as Redacted from "effect/Redacted"

/** What may be served without a token; what changes something never is. */
export type OpenGroup = "health" | "metrics" | "read"

/** A provider, by its names in the registry. */
export interface ProviderName {
  readonly tenant: string
  readonly provider: string
}

/**
 * When the process is ready: while all, at least one (`"some"`), or all critical providers can answer.
 *
 * **Details**
 *
 * Without any provider `"all"` is ready and `"some"` is not. A critical provider that is not registered is missing.
 */
export type ReadinessPolicy = "all" | "some" | { readonly critical: ReadonlyArray<ProviderName> }

/** Options of `JwksAdmin`. */
export interface JwksAdminOptions {
  /**
   * What callers have to bear (RFC 6750): 16 to 1024 characters from `A-Z a-z 0-9 - . _ ~ + /`, then `=` or not.
   * Required, unless `open` names what is to be served; mutations need it also then.
   */
  readonly token?: string | Redacted.Redacted<string>
  /** Groups that are served to everybody. Default: none. */
  readonly open?: ReadonlyArray<OpenGroup>
  /** Default: `"some"`. */
  readonly readiness?: ReadinessPolicy
  /** Where the routes are mounted, such as `/admin/jwks`. Default: `/`, which takes every path that no other route has. */
  readonly path?: string
}
