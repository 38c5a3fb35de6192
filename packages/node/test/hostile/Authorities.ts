/**
 * The authorities of the suite and what they sign: made once, for whichever case needs them.
 */
import { type Certificate, type CertificateOptions, makeCertificate, makeKey, pinOf } from "../support/Certificates.ts"

/** What a TLS server shows: its own certificate first. */
export type Chain = readonly [Certificate, ...ReadonlyArray<Certificate>]

const once = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => (made ??= { value: make() }).value
}

/** The one that the transport trusts. */
export const root = once(() => makeCertificate({ commonName: "Trusted root" }))
const intermediate = once(() => makeCertificate({ commonName: "Trusted intermediate", issuer: root() }))

/** Trusted as well, with servers of its own. */
export const otherRoot = once(() => makeCertificate({ commonName: "Other trusted root" }))

/** Nobody trusts this one. */
export const foreignRoot = once(() => makeCertificate({ commonName: "Foreign root" }))

/** A certificate that has the name of the other authority, and a key of its own. */
export const namesake = once(() => makeCertificate({ commonName: otherRoot().commonName }))

/** A server's second key. */
export const spareKey = once(makeKey)
export const spareKeyPin = (): string => pinOf(spareKey())

/** What trusted clients show. */
export const client = once(() => makeCertificate({ commonName: "the client", issuer: root(), hosts: ["client.test"] }))

const byHost = new Map<string, Chain>()

/** The chain of a server that nothing is wrong with; the same one each time. */
export const goodChain = (host: string): Chain => {
  const known = byHost.get(host)
  if (known !== undefined) return known
  const made: Chain = [makeCertificate({ commonName: host, issuer: intermediate(), hosts: [host] }), intermediate()]
  byHost.set(host, made)
  return made
}

/** A chain whose own certificate is like this instead. */
export const chainWith =
  (options: Partial<CertificateOptions> | (() => Partial<CertificateOptions>)) =>
  (host: string): Chain => {
    const given = typeof options === "function" ? options() : options
    return [makeCertificate({ commonName: host, issuer: intermediate(), hosts: [host], ...given }), intermediate()]
  }
