/**
 * What the programs of this folder are told from outside.
 */
import type { JwksRegistryOptions } from "@effect-jwks/core"
import type { Trusted } from "./guard.ts"

/** As variables of the environment, or as the bindings of a Worker. */
export interface Environment {
  /** The registry's options as JSON, with one provider; the registry itself checks them. */
  readonly JWKS_OPTIONS?: string
}

/** The options that were given. */
export const optionsOf = ({ JWKS_OPTIONS = "{}" }: Environment): JwksRegistryOptions =>
  JSON.parse(JWKS_OPTIONS) as JwksRegistryOptions

/** Whose tokens are let in: those of the first provider. */
export const trustedIn = ({ providers: [first] = [] }: JwksRegistryOptions): Trusted => ({
  tenant: first?.tenant ?? "",
  provider: first?.provider ?? "",
  issuer: first?.issuer ?? "",
})
