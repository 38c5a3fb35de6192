/**
 * From what a caller registers to a `Provider` that passed every rule: defaults filled in, limits kept,
 * rules that look at several fields checked.
 */
import * as Result from "effect/Result"
import { openIdMetadataUrl } from "../http/IssuerMetadata.ts"
import type { TransportGuards } from "../http/Transport.ts"
import { InvalidRegistration } from "../JwksError.ts"
import {
  defaultSettings,
  type JwksRegistryOptions,
  type JwksSource,
  type Provider,
  type ResolvedSettings,
  sourceUrl,
} from "../Provider.ts"
import { checkUrl, type UrlPolicy } from "../security/UrlPolicy.ts"
import { checkLimits, tighten } from "./Limits.ts"
import { checkOptions, checkRegistration, type GivenSettings } from "./SettingsSchema.ts"
import type { RuleIssue } from "./OptionSchema.ts"

/** Registry options with every default filled in. */
export interface ResolvedOptions {
  readonly requireHttps: boolean
  readonly allowedDomains: ReadonlyArray<string>
  /** What a registration gets where it says nothing: the registry's `defaults`, kept within `limits`. */
  readonly defaults: ResolvedSettings
  readonly limits: GivenSettings
  readonly providers: ReadonlyArray<unknown>
  readonly maxConcurrentFetches: number
  readonly maxProvidersPerTenant: number
  readonly allowPrivateAddresses: boolean | ReadonlyArray<string>
  readonly idleAfter: number
  readonly metricLabels: "provider" | "none"
  readonly eventBuffer: number
  readonly userAgent: string
  readonly snapshots: ResolvedSnapshotOptions
  /** Whether the transport can enforce pins. */
  readonly canPin: boolean
}

/** How snapshots are stored and signed. */
interface ResolvedSnapshotOptions {
  readonly namespace: string
  /** The first signs, each may have signed. */
  readonly keys: ReadonlyArray<Uint8Array>
  readonly unsigned: boolean
}

/** Checks the options of a registry over a transport with these guards, and fills in the defaults. */
export const resolveOptions = (
  options: JwksRegistryOptions,
  { pins: canPin }: TransportGuards,
): Result.Result<ResolvedOptions, InvalidRegistration> => {
  const checked = checkOptions(options)
  if (Result.isFailure(checked)) return refuse(checked.failure)
  const given = checked.success
  const limits = given.limits ?? {}
  const defaults = tighten(complete(given.defaults ?? {}, defaultSettings), limits)
  const issues = [
    ...checkLimits(given.defaults ?? {}, limits, "defaults."),
    ...crossFieldIssues(defaults, canPin, "defaults."),
  ]
  if (issues.length > 0) return refuse(issues)
  return Result.succeed({
    requireHttps: given.requireHttps ?? true,
    allowedDomains: given.allowedDomains ?? [],
    defaults,
    limits,
    providers: given.providers ?? [],
    maxConcurrentFetches: given.maxConcurrentFetches ?? 16,
    maxProvidersPerTenant: given.maxProvidersPerTenant ?? 16,
    allowPrivateAddresses: given.allowPrivateAddresses ?? false,
    idleAfter: given.idleAfter ?? Number.POSITIVE_INFINITY,
    metricLabels: given.metricLabels ?? "provider",
    eventBuffer: given.eventBuffer ?? 1_024,
    userAgent: given.userAgent ?? "effect-jwks",
    snapshots: {
      namespace: given.snapshotNamespace ?? "effect-jwks",
      keys: given.snapshotKey ?? [],
      unsigned: given.unsignedSnapshots ?? false,
    },
    canPin,
  })
}

/** The providers that a tenant has. */
type ProvidersOf = (tenant: string) => ReadonlyArray<Provider>

/** Checks a provider that passed every rule before against the providers that its tenant has now. */
export const checkNeighbours = (
  { issuer, provider, tenant }: Provider,
  options: ResolvedOptions,
  providersOf: ProvidersOf,
): Result.Result<void, InvalidRegistration> => {
  const neighbours = providersOf(tenant).filter((other) => other.provider !== provider)
  const issues = neighbourIssues(tenant, issuer, options, neighbours)
  return issues.length > 0 ? refuse(issues) : Result.succeed(undefined)
}

/** Checks a registration against the registry's options and the providers that its tenant has. */
export const resolveRegistration = (
  registration: unknown,
  options: ResolvedOptions,
  providersOf: ProvidersOf,
): Result.Result<Provider, InvalidRegistration> => {
  const checked = checkRegistration(registration)
  if (Result.isFailure(checked)) return refuse(checked.failure)
  const { issuer, jwksUrl, provider, tenant, ...given } = checked.success
  const settings = complete(given, options.defaults)
  const neighbours = providersOf(tenant).filter((other) => other.provider !== provider)
  const issues = [
    ...checkLimits(given, options.limits, ""),
    ...crossFieldIssues(settings, options.canPin, ""),
    ...neighbourIssues(tenant, issuer, options, neighbours),
  ]
  const source = sourceOf(jwksUrl, issuer)
  if (source === undefined) {
    issues.push({
      field: "jwksUrl",
      rule: "give the URL of the JWK Set, such as https://id.example.com/jwks, or an issuer to discover it from",
    })
    return refuse(issues)
  }
  const url = sourceUrl(source)
  const field = source._tag === "Registered" ? "jwksUrl" : "issuer"
  const definite: Provider = { tenant, provider, source, issuer, settings }
  // OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2: nothing could be appended to it.
  if (source._tag === "Discovered" && source.issuer.includes("?")) {
    issues.push({ field, rule: "must have no query where jwksUrl is discovered from it" })
  }
  // What address a literal host names is refused when it is fetched, by the operator's exemptions.
  const refused = checkUrl(url, { ...urlPolicyOf(definite, options), allowPrivateAddresses: true })
  if (refused !== undefined) issues.push({ field, rule: `${refused.rule}${url.protocol === "http:" ? httpHint : ""}` })
  if (settings.pinnedSpki.length > 0 && url.protocol !== "https:") {
    issues.push({ field: "pinnedSpki", rule: `needs https in ${field}` })
  }
  return issues.length > 0 ? refuse(issues) : Result.succeed(definite)
}

const sourceOf = (jwksUrl: string | undefined, issuer: string | undefined): JwksSource | undefined => {
  if (jwksUrl !== undefined) return { _tag: "Registered", jwksUrl: new URL(jwksUrl) }
  return issuer === undefined ? undefined : { _tag: "Discovered", issuer, metadataUrl: openIdMetadataUrl(issuer) }
}

const httpHint = ": write https, or set requireHttps to false both here and in the registry's options"

/** The URL rules of the registry and of the registration together: both must be passed. */
export const urlPolicyOf = ({ settings }: Provider, options: ResolvedOptions): UrlPolicy => ({
  requireHttps: options.requireHttps || settings.requireHttps,
  allowedDomainLists: [options.allowedDomains, options.limits.allowedDomains ?? [], settings.allowedDomains],
  allowPrivateAddresses: options.allowPrivateAddresses,
})

/** Settings that decide what is fetched from where: a held set outlives only registrations that agree on them. */
export const transportIdentity = (provider: Provider): string =>
  JSON.stringify([sourceUrl(provider.source).href, provider.issuer, transportSettings(provider)])

/** Everything that decides what becomes of a provider: registrations that agree on it are one. */
export const registrationIdentity = ({ issuer, settings, source }: Provider, policy: UrlPolicy): string =>
  JSON.stringify([source, issuer, settings, policy])

/** How it is fetched, from wherever. */
export const transportSettings = ({ settings, source }: Provider): string =>
  JSON.stringify([
    source._tag,
    settings.requireHttps,
    settings.allowedDomains,
    settings.maxResponseBytes,
    settings.maxRedirects,
    settings.pinnedSpki,
  ])

const refuse = (issues: ReadonlyArray<RuleIssue>): Result.Result<never, InvalidRegistration> =>
  Result.fail(new InvalidRegistration({ issues }))

/** What was given, completed from `base`. */
const complete = (given: GivenSettings, base: ResolvedSettings): ResolvedSettings => ({
  ...base,
  ...given,
  kidRefresh: { ...base.kidRefresh, ...given.kidRefresh },
  retryPolicy: {
    ...base.retryPolicy,
    // A first back-off that is longer than the longest that nobody gave.
    maxBackoff: Math.max(base.retryPolicy.maxBackoff, given.retryPolicy?.initialBackoff ?? 0),
    ...given.retryPolicy,
  },
})

/** Rules that look at several settings. */
const crossFieldIssues = (settings: ResolvedSettings, canPin: boolean, prefix: string): Array<RuleIssue> => [
  ...(settings.algorithms.length === 0
    ? [{ field: `${prefix}algorithms`, rule: "must name an algorithm that the registry's limits allow" }]
    : []),
  ...(settings.maxTtl < settings.minTtl
    ? [{ field: `${prefix}maxTtl`, rule: `must not be under minTtl (${settings.minTtl} ms)` }]
    : []),
  ...(settings.retryPolicy.maxBackoff < settings.retryPolicy.initialBackoff
    ? [
        {
          field: `${prefix}retryPolicy.maxBackoff`,
          rule: `must not be under initialBackoff (${settings.retryPolicy.initialBackoff} ms)`,
        },
      ]
    : []),
  ...(settings.pinnedSpki.length > 0 && !canPin
    ? [
        {
          field: `${prefix}pinnedSpki`,
          rule: "the HTTP client can not enforce pins: leave it out, or use a transport that can, such as NodeJwksHttp",
        },
      ]
    : []),
]

const neighbourIssues = (
  tenant: string,
  issuer: string | undefined,
  options: ResolvedOptions,
  neighbours: ReadonlyArray<Provider>,
): Array<RuleIssue> => {
  const sharing = issuer === undefined ? undefined : neighbours.find((neighbour) => neighbour.issuer === issuer)
  return [
    ...(sharing === undefined
      ? []
      : [
          {
            field: "issuer",
            rule: `provider ${sharing.provider} of this tenant vouches for it already: an issuer belongs to one provider`,
          },
        ]),
    ...(neighbours.length < options.maxProvidersPerTenant
      ? []
      : [
          {
            field: "provider",
            rule: `tenant ${tenant} has ${neighbours.length} providers already, maxProvidersPerTenant allows no more`,
          },
        ]),
  ]
}
