/**
 * Which public keys vouch for a connection: those of the certificates on the very path that TLS verified,
 * from the server's own certificate up to one in the trust store.
 *
 * Node does not say which path that was, and shows what the server sent: to that a server may append any
 * certificate, the pinned and public one of a CA that has nothing to do with it, and others that lead
 * there by signatures that hold but under constraints that do not. So the path is found here as OpenSSL
 * finds it: at each step an issuer from the trust store if there is one, else the first fitting one that was
 * sent. What OpenSSL checked of it (constraints, path lengths, extended key usage, critical extensions,
 * algorithms) is checked then.
 */
import { createHash, type X509Certificate } from "node:crypto"
import type { TLSSocket } from "node:tls"

/** The base64 SHA-256 digests of SubjectPublicKeyInfo (RFC 7469 section 2.4) of a verified connection, the server's own first. */
export const verifiedPins = (
  socket: TLSSocket,
  trusted: ReadonlyArray<X509Certificate>,
  now: number,
): ReadonlyArray<string> => {
  const own = socket.getPeerX509Certificate()
  return own === undefined ? [] : verifiedPath(own, presented(own), trusted, now).map(spkiPin)
}

/** The base64 SHA-256 digest of a certificate's SubjectPublicKeyInfo. */
const spkiPin = (certificate: X509Certificate): string =>
  createHash("sha256")
    .update(certificate.publicKey.export({ type: "spki", format: "der" }))
    .digest("base64")

/** Longer chains are nobody's, and a server must not be able to keep this process verifying. */
const maxCertificates = 10

/** What the server sent, in its order. */
const presented = (own: X509Certificate): ReadonlyArray<X509Certificate> => {
  const chain: Array<X509Certificate> = []
  for (let next = own.issuerCertificate; next !== undefined && chain.length < maxCertificates;) {
    chain.push(next)
    next = next.issuerCertificate
  }
  return chain
}

/** The path from `own` to the trust store; `own` alone where it is not found. */
const verifiedPath = (
  own: X509Certificate,
  sent: ReadonlyArray<X509Certificate>,
  trusted: ReadonlyArray<X509Certificate>,
  now: number,
): ReadonlyArray<X509Certificate> => {
  const path = [own]
  const seen = new Set([own.fingerprint256])
  let isTrusted = false
  // An array that grows is walked to its end.
  for (const child of path) {
    const anchor = trusted.find((issuer) => isValid(issuer, now) && hasSigned(issuer, child))
    isTrusted ||= anchor !== undefined
    // Above the trust store nothing counts that is not in it.
    const issuer = anchor ?? (isTrusted ? undefined : sent.find((candidate) => mayIssue(candidate, child, seen, now)))
    if (issuer === undefined || seen.has(issuer.fingerprint256) || path.length === maxCertificates) break
    // OpenSSL takes the first that fits by name, and refuses the chain if that has not signed.
    if (anchor === undefined && !hasSigned(issuer, child)) break
    seen.add(issuer.fingerprint256)
    path.push(issuer)
  }
  return isTrusted ? path : [own]
}

const isValid = ({ validFromDate, validToDate }: X509Certificate, now: number): boolean =>
  validFromDate.getTime() <= now && now <= validToDate.getTime()

const mayIssue = (issuer: X509Certificate, child: X509Certificate, seen: ReadonlySet<string>, now: number): boolean =>
  !seen.has(issuer.fingerprint256) && isValid(issuer, now) && child.checkIssued(issuer)

const hasSigned = (issuer: X509Certificate, child: X509Certificate): boolean =>
  child.checkIssued(issuer) && child.verify(issuer.publicKey)
