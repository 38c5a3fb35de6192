/**
 * What TLS with each host starts from: whom to trust, and as whom to appear. Made once, since a context with
 * all the default roots takes its time.
 */
import { bareHost, canonicalHost } from "@effect-jwks/core"
import type { RuleIssue } from "@effect-jwks/core/OptionSchema"
import * as Result from "effect/Result"
import { constants } from "node:crypto"
import * as Tls from "node:tls"
import { certificatesIn, type CheckedOptions, type CheckedTls, hostRule } from "./OptionsSchema.ts"

/** TLS by host name. */
export type HostTls = (hostname: string) => Tls.ConnectionOptions

/** Loads certificates and keys; says which options do not go together. */
export const resolveTls = (given: CheckedOptions): Result.Result<HostTls, ReadonlyArray<RuleIssue>> => {
  const issues: Array<RuleIssue> = []
  const contextOf = (options: CheckedTls, field: string): Tls.ConnectionOptions => {
    const made = makeContext(options)
    if (Result.isSuccess(made)) return { secureContext: made.success, rejectUnauthorized: true }
    issues.push({ ...made.failure, field: [field, made.failure.field].filter(Boolean).join(".") })
    return {}
  }
  const top = contextOf(given, "")
  const byHost = new Map<string, Tls.ConnectionOptions>()
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

const makeContext = ({
  ca,
  clientCertificate,
  defaultRoots = true,
}: CheckedTls): Result.Result<Tls.SecureContext, RuleIssue> => {
  const own = (typeof ca === "string" ? [ca] : (ca ?? [])).flatMap(certificatesIn)
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
