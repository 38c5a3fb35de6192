/**
 * The shape and the bounds of everything that a caller may say, with a message for each breach that
 * says what to write instead.
 */
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Struct from "effect/Struct"
import { JwksMemory } from "../JwksMemory.ts"
import { JwsAlgorithm } from "../jwk/Jwk.ts"
import { isSpkiPin } from "../security/SpkiPin.ts"
import { absoluteUrl } from "../security/UrlPolicy.ts"
import { canonicalDomain, canonicalHost } from "../security/Host.ts"
import { checker, duration, flag, integer, listOf, text } from "./OptionSchema.ts"

const second = 1_000
const day = 24 * 3_600 * second

/** Tenants and providers: 1 to 128 printable ASCII characters without spaces. */
const idRule = "must be 1 to 128 printable ASCII characters without spaces"
const Id = text(idRule, (id) => /^[\x21-\x7e]{1,128}$/.test(id))

const AbsoluteUrl = text(
  'must be an absolute http or https URL without userinfo and fragment, such as "https://id.example.com/jwks"',
  (value) => absoluteUrl(value) !== undefined,
)

const Domains = listOf(
  text(
    'must be a domain such as "example.com", without scheme, port, path or wildcard',
    (domain) => canonicalDomain(domain) !== undefined,
  ),
  'must be a list of domains, such as ["example.com"]',
)

const settings = {
  algorithms: listOf(
    JwsAlgorithm.annotate({ message: `must be one of ${JwsAlgorithm.literals.join(", ")}` }),
    'must be a list of JWS algorithms, such as ["RS256"]',
  ).check(
    Schema.makeFilter(
      (list: ReadonlyArray<unknown>) => list.length > 0 || "must name at least one algorithm, or be left out",
    ),
  ),
  requireHttps: flag,
  allowedDomains: Domains,
  minTtl: duration(30 * second, 30 * day, "must be at least 30 seconds and at most 30 days"),
  maxTtl: duration(30 * second, 30 * day, "must be at least 30 seconds and at most 30 days"),
  defaultTtl: duration(1, 30 * day, "must be at least 1 millisecond and at most 30 days"),
  refreshEarly: duration(second, 30 * day, "must be at least 1 second and at most 30 days"),
  prefetchJitter: duration(0, 30 * day, "must be at most 30 days"),
  staleWhileError: duration(0, 365 * day, "must be at most 365 days; 0 for never"),
  negativeCacheTtl: duration(0, 30 * day, "must be at most 30 days; 0 for not at all"),
  kidRefresh: Schema.Struct({
    burst: Schema.optionalKey(integer(1, 1_000)),
    every: Schema.optionalKey(duration(1, day, "must be at least 1 millisecond and at most 1 day")),
  }).annotate({
    message: 'must be an object such as { burst: 2, every: "30 seconds" }',
    messageUnexpectedKey: "is no field of kidRefresh; the fields are burst, every",
  }),
  retryPolicy: Schema.Struct({
    maxRetries: Schema.optionalKey(integer(0, 10)),
    attemptTimeout: Schema.optionalKey(
      duration(1, 300 * second, "must be at least 1 millisecond and at most 5 minutes"),
    ),
    initialBackoff: Schema.optionalKey(duration(0, 300 * second, "must be at most 5 minutes")),
    maxBackoff: Schema.optionalKey(duration(0, 300 * second, "must be at most 5 minutes")),
    deadline: Schema.optionalKey(duration(1, 600 * second, "must be at least 1 millisecond and at most 10 minutes")),
    jitter: Schema.optionalKey(
      Schema.Literals(["none", "full", "decorrelated"]).annotate({ message: "must be none, full or decorrelated" }),
    ),
  }).annotate({
    message: 'must be an object such as { maxRetries: 2, deadline: "8 seconds" }',
    messageUnexpectedKey:
      "is no field of retryPolicy; the fields are maxRetries, attemptTimeout, initialBackoff, maxBackoff, deadline, jitter",
  }),
  maxResponseBytes: integer(1, 16 * 1_048_576),
  maxKeys: integer(1, 10_000),
  maxRedirects: integer(0, 10),
  pinnedSpki: listOf(
    text("must be the base64 SHA-256 digest of a SubjectPublicKeyInfo (44 characters)", isSpkiPin),
    "must be a list of base64 SHA-256 digests",
  ),
  minRsaBits: integer(1_024, 8_192),
  removedKeyGrace: duration(0, 30 * day, "must be at most 30 days; 0 for not at all"),
  strictHttp: flag,
  warm: flag,
}

const allOptional = Struct.map(Schema.optionalKey)

const optionalSettings = Schema.Struct(settings).mapFields(allOptional).fields

const RequiredId = Id.pipe(Schema.annotateKey({ messageMissingKey: `is required: ${idRule}` }))

const Settings = Schema.Struct(optionalSettings).annotate({
  message: "must be an object of provider settings",
  messageUnexpectedKey: "is no provider setting; check its spelling",
})

const Registration = Schema.Struct({
  tenant: RequiredId,
  provider: RequiredId,
  jwksUrl: Schema.optionalKey(AbsoluteUrl),
  issuer: Schema.optionalKey(AbsoluteUrl),
  ...optionalSettings,
}).annotate({
  message: "must be an object with tenant, provider and jwksUrl",
  messageUnexpectedKey: "is no field of a registration; check its spelling",
})

/** The bytes of a key, however it was given. */
const keyBytes = (key: unknown): Uint8Array | undefined => {
  const value = Redacted.isRedacted(key) ? Redacted.value(key) : key
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value
  // A copy: the caller may wipe or reuse his.
  return bytes instanceof Uint8Array && bytes.length > 0 ? bytes.slice() : undefined
}

const maxSnapshotKeys = 16

const keyList = (given: unknown): ReadonlyArray<Uint8Array> | undefined => {
  const keys = (Array.isArray(given) ? given : [given]).map(keyBytes)
  const found = keys.flatMap((key) => (key === undefined ? [] : [key]))
  return found.length === keys.length && keys.length > 0 && keys.length <= maxSnapshotKeys ? found : undefined
}

const SnapshotKeys = Schema.Unknown.check(
  Schema.makeFilter(
    (given: unknown) =>
      keyList(given) !== undefined ||
      `must be a text or bytes, or a list of 1 to ${maxSnapshotKeys} of them, none of them empty`,
  ),
).pipe(
  Schema.decodeTo(
    Schema.Array(Schema.Uint8Array),
    SchemaTransformation.transform({
      decode: (given: unknown): ReadonlyArray<Uint8Array> => keyList(given) ?? [],
      encode: (keys: ReadonlyArray<Uint8Array>): unknown => keys,
    }),
  ),
)

const Options = Schema.Struct({
  requireHttps: flag,
  allowedDomains: Domains,
  defaults: Settings,
  limits: Settings,
  // Each is checked as a registration, once the options are known.
  providers: listOf(Schema.Unknown, "must be a list of registrations"),
  maxConcurrentFetches: integer(1, 1_024),
  maxProvidersPerTenant: integer(1, 10_000),
  allowPrivateAddresses: Schema.Union([
    Schema.Boolean,
    Schema.Array(Schema.String).check(
      Schema.makeFilter((hosts: ReadonlyArray<string>) => hosts.every((host) => canonicalHost(host) !== undefined)),
    ),
  ]).annotate({
    message: 'must be true, false or a list of hosts without scheme and port, such as ["id.intranet.example"]',
  }),
  idleAfter: duration(1, 365 * day, "must be at least 1 millisecond and at most 365 days"),
  metricLabels: Schema.Literals(["provider", "none"]).annotate({ message: "must be provider or none" }),
  snapshotKey: SnapshotKeys,
  snapshotNamespace: text('must be 1 to 32 characters of letters, digits, "-" and "_", such as "shop"', (value) =>
    /^[A-Za-z0-9_-]{1,32}$/.test(value),
  ),
  unsignedSnapshots: flag,
  memory: Schema.declare((u: unknown) => u instanceof JwksMemory).annotate({
    message: "must be what JwksMemory.make() gives",
  }),
  eventBuffer: integer(1, 1_048_576),
  // RFC 9110 section 5.5: what a header field may hold.
  userAgent: text('must be 1 to 256 printable ASCII characters, such as "shop/1.0"', (value) =>
    /^[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?$/.test(value),
  ),
})
  .mapFields(allOptional)
  .annotate({
    message: "must be an object of registry options",
    messageUnexpectedKey: "is no option of the registry; check its spelling",
  })

/** Checks the shape and the bounds of a registration; durations become milliseconds. */
export const checkRegistration = checker(Registration)

/** Checks the shape and the bounds of the registry's options; `providers` are checked one by one. */
export const checkOptions = checker(Options)

/** Provider settings as they were given, with durations in milliseconds. */
export type GivenSettings = typeof Settings.Type
