/**
 * Which public keys vouch for a connection: those of the certificates on a verified path from the
 * server's own certificate upwards.
 *
 * A server may append any certificate to the chain that it presents, the pinned and public one of a CA
 * that has nothing to do with it too, and Node links what was presented by order or by name. So a
 * certificate counts only when it is a CA within its validity and the one below it bears its signature.
 */
import { createHash, X509Certificate } from "node:crypto"
import type { DetailedPeerCertificate, TLSSocket } from "node:tls"

/** The base64 SHA-256 digests of SubjectPublicKeyInfo (RFC 7469 section 2.4) of a verified connection, the server's own first. */
export const verifiedPins = (socket: TLSSocket, now: number): ReadonlyArray<string> => {
  // In this order: Node 22 takes a connection's chain apart while it makes X509Certificates of it.
  const byName = linked(socket.getPeerCertificate(true))
  const own = socket.getPeerX509Certificate()
  return own === undefined ? [] : pathsFrom(own, [...byName, ...presented(own)], now).map(spkiPin)
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

/** What Node linked by name, which ends with a root that servers usually do not send. */
const linked = (own: DetailedPeerCertificate): ReadonlyArray<X509Certificate> => {
  const chain: Array<X509Certificate> = []
  const seen = new Set<DetailedPeerCertificate>()
  for (let next = own; next?.raw !== undefined && !seen.has(next) && seen.size < maxCertificates;) {
    seen.add(next)
    chain.push(new X509Certificate(next.raw))
    next = next.issuerCertificate
  }
  return chain
}

/** Everything that is reached from `own` by signatures that hold. */
const pathsFrom = (
  own: X509Certificate,
  candidates: ReadonlyArray<X509Certificate>,
  now: number,
): ReadonlyArray<X509Certificate> => {
  const left = new Map(candidates.map((certificate) => [certificate.fingerprint256, certificate]))
  const reached = [own]
  // An array that grows is walked to its end.
  for (const child of reached) {
    for (const [fingerprint, issuer] of left) {
      if (!vouchesFor(issuer, child, now)) continue
      left.delete(fingerprint)
      reached.push(issuer)
    }
  }
  return reached
}

const vouchesFor = (issuer: X509Certificate, child: X509Certificate, now: number): boolean =>
  issuer.ca &&
  issuer.validFromDate.getTime() <= now &&
  now <= issuer.validToDate.getTime() &&
  child.checkIssued(issuer) &&
  child.verify(issuer.publicKey)
