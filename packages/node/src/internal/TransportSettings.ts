/**
 * The transport's options made definite: durations in milliseconds, and for each host the trust, the
 * client certificate and the proxy that are meant for it.
 */
import { bareHost, canonicalHost, InvalidRegistration } from "@effect-jwks/core"
import type { RuleIssue } from "@effect-jwks/core/OptionSchema"
import * as Result from "effect/Result"
import { lookup as systemLookup } from "node:dns"
import type { LookupFunction } from "node:net"
import { type HostTls, resolveTls } from "./HostTls.ts"
import { type CheckedOptions, checkOptions } from "./OptionsSchema.ts"
import type { Proxy } from "./Tunnel.ts"

/** Options of the transport with every default filled in. */
export interface TransportSettings {
  readonly tlsFor: HostTls
  readonly proxyFor: (hostname: string) => Proxy | undefined
  readonly allowPrivateAddresses: boolean | ReadonlyArray<string>
  readonly lookup: LookupFunction
  /** Milliseconds, as all that follow. */
  readonly connectTimeout: number
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly keepAlive: number
  readonly maxConnectionsPerOrigin: number
  readonly maxHeaderBytes: number
}

/** Checks the options and makes them definite; `prefix` leads to them from where the caller wrote them. */
export const resolveSettings = (
  options: unknown,
  prefix: string,
): Result.Result<TransportSettings, InvalidRegistration> => {
  const checked = checkOptions(options)
  if (Result.isFailure(checked)) return refuse(checked.failure, prefix)
  const given = checked.success
  const trust = resolveTls(given)
  if (Result.isFailure(trust)) return refuse(trust.failure, prefix)
  const proxy = given.proxy && resolveProxy(given.proxy)
  return Result.succeed({
    tlsFor: trust.success,
    proxyFor: (hostname) => (proxy?.noProxy.some((domain) => isWithin(hostname, domain)) === false ? proxy : undefined),
    allowPrivateAddresses: given.allowPrivateAddresses ?? false,
    lookup: given.lookup ?? ((hostname, how, callback) => systemLookup(hostname, how, callback)),
    connectTimeout: given.connectTimeout ?? 3_000,
    headersTimeout: given.headersTimeout ?? 5_000,
    bodyTimeout: given.bodyTimeout ?? 5_000,
    keepAlive: given.keepAlive ?? 10_000,
    maxConnectionsPerOrigin: given.maxConnectionsPerOrigin ?? 16,
    maxHeaderBytes: given.maxHeaderBytes ?? 16_384,
  })
}

const refuse = (issues: ReadonlyArray<RuleIssue>, prefix: string): Result.Result<never, InvalidRegistration> =>
  Result.fail(
    new InvalidRegistration({
      issues: issues.map(({ field, rule }) => ({ field: [prefix, field].filter(Boolean).join("."), rule })),
    }),
  )

const resolveProxy = ({ noProxy = [], url: given }: NonNullable<CheckedOptions["proxy"]>): Proxy => {
  const url = new URL(given)
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return {
    url,
    authorization: credentials === ":" ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`,
    noProxy: noProxy.flatMap((domain) => canonicalHost(domain) ?? []),
  }
}

/** Whether `host` is equal to or under `domain`, by whole labels. */
const isWithin = (host: string, domain: string): boolean =>
  bareHost(host) === domain || bareHost(host).endsWith(`.${domain}`)
