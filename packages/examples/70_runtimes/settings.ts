/**
 * What the programs of this folder are told from outside.
 */
import type { JwksRegistryOptions } from "@effect-jwks/core"

/** As variables of the environment, or as the bindings of a Worker. */
export interface Environment {
  /** The registry's options as JSON, with one provider; the registry itself checks them. */
  readonly JWKS_OPTIONS?: string
}

/** What a Worker is given with each request, as far as it is used here. */
export interface ExecutionContext {
  /** Has the platform wait for what goes on after the response. */
  readonly waitUntil: (promise: Promise<unknown>) => void
}

/** The options that were given. */
export const optionsOf = ({ JWKS_OPTIONS = "{}" }: Environment): JwksRegistryOptions =>
  JSON.parse(JWKS_OPTIONS) as JwksRegistryOptions

/** Whose tokens are let in: those of the providers of the first one's tenant. */
export const tenantIn = ({ providers: [first] = [] }: JwksRegistryOptions): string => first?.tenant ?? ""
