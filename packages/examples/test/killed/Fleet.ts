/**
 * The providers of a process that is killed, and of the one after it.
 */
import type { JwksRegistryOptions, ProviderRegistration } from "@effect-jwks/core"

/** Their names. */
export const providers: ReadonlyArray<string> = Array.from({ length: 10 }, (_, index) => `idp${index}`)

/** Both processes have the same key; those of another kill have another namespace. */
export const optionsOf = (snapshotNamespace: string): JwksRegistryOptions => ({
  snapshotNamespace,
  requireHttps: false,
  allowPrivateAddresses: true,
  snapshotKey: "of both processes, as long as it should be",
})

/** A registration with one of them. */
export const registrationOf = (provider: string, origin: string): ProviderRegistration => ({
  tenant: "acme",
  provider,
  jwksUrl: `${origin}/${provider}`,
  requireHttps: false,
})
