/**
 * What TLS with each host starts from: whom to trust, and as whom to appear. Made once, since a context with
 * all the default roots takes its time.
 */
import { bareHost, canonicalHost } from "@effect-jwks/core"
import type { RuleIssue } from "@effect-jwks/core/OptionSchema"
import * as Result from "effect/Result"
import { constants, X509Certificate } from "node:crypto"
import * as Tls from "node:tls"
import { certificatesIn, type CheckedOptions, type CheckedTls, hostRule } from "./OptionsSchema.ts"

/** TLS with one host. */
export interface TlsTerms {
  readonly connect: Tls.ConnectionOptions
  /** The trust store, for those who look for a path to it. */
  readonly trusted: () => ReadonlyArray<X509Certificate>
}

/** TLS by host name. */
export type HostTls = (hostname: string) => TlsTerms

/** Loads certificates and keys; says which options do not go together. */
export const resolveTls = (given: CheckedOptions): Result.Result<HostTls, ReadonlyArray<RuleIssue>> => {
  const issues: Array<RuleIssue> = []
  const contextOf = (options: CheckedTls, field: string): TlsTerms => {
    const trusted = trustedBy(options)
    const made = makeContext(options)
    if (Result.isSuccess(made)) {
      return { connect: { secureContext: made.success, rejectUnauthorized: true }, trusted }
    }
    issues.push({ ...made.failure, field: [field, made.failure.field].filter(Boolean).join(".") })
    return { connect: {}, trusted }
  }
  const top = contextOf(given, "")
  const byHost = new Map<string, TlsTerms>()
  for (const [host, options] of Object.entries(given.hosts ?? {})) {
    const canonical = canonicalHost(host)
    const field = `hosts.${host}`
    if (canonical === undefined) issues.push({ field, rule: hostRule })
    else byHost.set(canonical, contextOf({ ...topOf(given), ...options }, field))
  }
  return issues.length > 0 ? Result.fail(issues) : Result.succeed((hostname) => byHost.get(bareHost(hostname)) ?? top)
}

const topOf = ({ ca, clientCertificate, defaultRoots }: CheckedOptions): CheckedTls => ({
  ...(ca !== undefined && { ca }),
  ...(clientCertificate !== undefined && { clientCertificate }),
  ...(defaultRoots !== undefined && { defaultRoots }),
})

const ownAuthorities = ({ ca }: CheckedTls): Array<string> =>
  (typeof ca === "string" ? [ca] : (ca ?? [])).flatMap(certificatesIn)

/** Read once, and only where somebody asks: there are more than a hundred default roots. */
const trustedBy = (options: CheckedTls): (() => ReadonlyArray<X509Certificate>) => {
  let read: ReadonlyArray<X509Certificate> | undefined
  return () =>
    (read ??= [
      ...ownAuthorities(options),
      ...((options.defaultRoots ?? true) ? Tls.getCACertificates("default") : []),
    ].map((pem) => new X509Certificate(pem)))
}

const makeContext = (options: CheckedTls): Result.Result<Tls.SecureContext, RuleIssue> => {
  const { clientCertificate, defaultRoots = true } = options
  const own = ownAuthorities(options)
  if (!defaultRoots && own.length === 0)
    return Result.fail({ field: "defaultRoots", rule: "leaves nobody to trust: give ca as well" })
  return Result.try({
    try: () =>
      Tls.createSecureContext({
        ...(own.length > 0 && { ca: defaultRoots ? [...Tls.getCACertificates("default"), ...own] : own }),
        ...clientCertificate,
        minVersion: "TLSv1.2",
        // What was checked holds for the whole connection.
        secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      }),
    catch: () => ({
      field: "clientCertificate",
      rule: "could not be loaded: the key must be that of the certificate, and the passphrase that of the key",
    }),
  })
}
