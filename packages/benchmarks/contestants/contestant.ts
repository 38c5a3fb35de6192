/**
 * What takes part in the comparison: a warmed cache and the loop that asks it.
 */
import type { TenantKeys, Token } from "../tokens.ts"
import type { Upstream } from "../upstream.ts"

export interface Contestant {
  readonly id: string
  readonly name: string
  /** The modulus (base64url) of the key that it answers `token` with; the first answer fills its cache. */
  readonly modulusOf: (token: Token) => Promise<string | undefined>
  /**
   * Asks for each token's key, one after another as a request handler does, and says how many it got.
   * Each contestant has a loop of its own, so that none runs on what the engine learned from another.
   */
  readonly run: (tokens: ReadonlyArray<Token>) => number | Promise<number>
}

/** Contestants on one cache. */
export interface Entrants {
  readonly contestants: ReadonlyArray<Contestant>
  readonly close?: () => Promise<void>
}

/** Sets a cache up for all tenants. */
export type Enter = (upstream: Upstream, tenants: ReadonlyArray<TenantKeys>) => Promise<Entrants>

/** A time to live that no run outlasts, in milliseconds. */
export const oneDay = 86_400_000

/** What belongs to a tenant, which contestants without tenants of their own keep in a map, as their users do. */
export const belongingTo = <A>(byTenant: ReadonlyMap<string, A>, tenant: string): A => {
  const found = byTenant.get(tenant)
  if (found === undefined) throw new Error(`nothing belongs to ${tenant}`)
  return found
}
