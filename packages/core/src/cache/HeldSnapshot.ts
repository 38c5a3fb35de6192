/**
 * From a held set to the snapshot of it, and back: a set that comes back keeps its original times, and is
 * judged by the rules of today. Pure.
 */
import { evaluate } from "../http/Freshness.ts"
import type { JwksLocation } from "../http/IssuerMetadata.ts"
import type { Instant } from "../Instant.ts"
import { encode } from "../jwk/Base64url.ts"
import { JudgedLater, usableKeys } from "../jwk/JudgedLater.ts"
import type { ParsedJwks } from "../jwk/Jwks.ts"
import { judge } from "../jwk/KeyPolicy.ts"
import { sha256 } from "../jwk/Sha256.ts"
import * as Result from "effect/Result"
import { type Description, keysOf, type Snapshot, type SnapshotRule } from "../persistence/Snapshot.ts"
import type { Provider, ResolvedSettings } from "../Provider.ts"
import { transportSettings } from "../registration/Registration.ts"
import { checkUrl, type UrlPolicy } from "../security/UrlPolicy.ts"
import { clockTolerance, type HeldSet } from "./CacheState.ts"

/** Raised when the key policy or the reading of headers changes, so that what passed before is judged anew. */
const rulesVersion = 1

/** A digest of texts that are mostly the same, of one provider after the other. */
const makeDigest = () => {
  let last = { of: "", is: "" }
  return (text: string): string => {
    if (last.of !== text) last = { of: text, is: encode(sha256(text)) }
    return last.is
  }
}

const rulesDigest = makeDigest()

/** Of the settings that a set and its times were judged by. */
const rulesOf = (settings: ResolvedSettings): string => {
  const { algorithms, defaultTtl, maxKeys, maxTtl, minRsaBits, minTtl, staleWhileError, strictHttp } = settings
  return rulesDigest(
    JSON.stringify([
      rulesVersion,
      algorithms,
      minRsaBits,
      maxKeys,
      minTtl,
      maxTtl,
      defaultTtl,
      staleWhileError,
      strictHttp,
    ]),
  )
}

const transportDigest = makeDigest()

/** Of the settings that decide how it is fetched. */
const digestOf = (provider: Provider): string => transportDigest(transportSettings(provider))

/** What a snapshot says of a set; keys in grace are no part of it. */
export const descriptionOf = (provider: Provider, held: HeldSet): Description => ({
  tenant: provider.tenant,
  provider: provider.provider,
  url: held.jwksUrl,
  ...(held.finalUrl !== held.jwksUrl && { finalUrl: held.finalUrl }),
  ...(provider.issuer !== undefined && { issuer: provider.issuer }),
  digest: digestOf(provider),
  rules: rulesOf(provider.settings),
  usableKeys: usableKeys(held.jwks),
  headers: held.headers,
  ...(held.validators !== undefined && { validators: held.validators }),
  fetchedAt: held.receivedAt.wall,
  fetchedInFullAt: held.fetchedInFullAt.wall,
  expiresAt: held.expiresAt.wall,
  staleUntil: held.staleUntil.wall,
})

/** Of a document that today's settings forbid to store. */
export const mustNotBeStored: SnapshotRule = { rule: "is of a document that must not be stored" }

const refuse = (rule: string): Result.Result<never, SnapshotRule> => Result.fail({ rule })

/** Why a snapshot is not this provider's, or not of what it fetches today. */
const strangeness = (snapshot: Snapshot, provider: Provider, policy: UrlPolicy): string | undefined => {
  if (snapshot.tenant !== provider.tenant || snapshot.provider !== provider.provider) return "is of another provider"
  if (snapshot.issuer !== provider.issuer) return "is of another issuer"
  const { source } = provider
  if (source._tag === "Registered" && snapshot.url !== source.jwksUrl.href) return "is of another URL"
  if (snapshot.digest !== digestOf(provider)) return "is of other transport settings"
  // What was discovered, or was redirected to, was so under the rules of then.
  const isAllowed =
    (source._tag === "Registered" || mayBeAsked(snapshot.url, policy)) &&
    (snapshot.finalUrl === undefined || mayBeAsked(snapshot.finalUrl, policy))
  return isAllowed ? undefined : "is of a URL that is not allowed"
}

const mayBeAsked = (url: string, policy: UrlPolicy): boolean =>
  URL.canParse(url) && checkUrl(new URL(url), policy) === undefined

/**
 * Where a restored set's issuer had its JWK Set. The metadata are asked again at once; the URL is what
 * stays known if they can not be read.
 */
export const locationOf = ({ fetchedInFullAt, jwksUrl, receivedAt }: HeldSet, now: Instant): JwksLocation => ({
  jwksUrl: new URL(jwksUrl),
  receivedAt,
  dueAt: now,
  headers: {},
  validators: undefined,
  fetchedInFullAt,
  failures: 0,
})

/** What passed the rules of today. */
interface Passed {
  readonly jwks: ParsedJwks
  readonly expiresAt: number
  readonly staleUntil: number
}

const asItWas = (snapshot: Snapshot, settings: ResolvedSettings): Result.Result<Passed, SnapshotRule> => {
  const { expiresAt, staleUntil, usableKeys } = snapshot
  return Result.succeed({
    jwks: new JudgedLater(
      usableKeys,
      () => Result.getOrThrow(keysOf(snapshot)),
      (keys) => judge(keys, settings),
    ),
    expiresAt,
    staleUntil,
  })
}

const judgedAnew = (snapshot: Snapshot, settings: ResolvedSettings): Result.Result<Passed, SnapshotRule> => {
  const { fetchedAt, headers } = snapshot
  const keys = keysOf(snapshot)
  if (Result.isFailure(keys)) return Result.fail(keys.failure)
  if (keys.success.length > settings.maxKeys) return refuse(`has more than ${settings.maxKeys} keys`)
  const verdict = evaluate(headers, fetchedAt, settings)
  if (!verdict.keep) return Result.fail(mustNotBeStored)
  const expiresAt = Math.min(snapshot.expiresAt, snapshot.staleUntil, fetchedAt + verdict.lifetimeMillis)
  const staleUntil = Math.min(snapshot.staleUntil, expiresAt + verdict.staleMillis)
  const jwks = judge(keys.success, settings)
  return jwks.keys.length === 0 ? refuse("has no usable key") : Result.succeed({ jwks, expiresAt, staleUntil })
}

/**
 * The set that a snapshot brings back, or why it does not.
 *
 * **Details**
 *
 * Key policy and clamps run over it again, so its times only get shorter; but for a set of our own (`isOurs`: we
 * have signed it) that passed the very same rules: its times stand, and its keys are judged when somebody looks
 * at them. What is left of them on the
 * monotonic clock is never more than the set's whole lifetime, whatever became of the wall clock. `jitter`
 * (0 to 1) says when within `minTtl` a fresh set is revalidated; an expired one is at once.
 */
export const heldFrom = (
  snapshot: Snapshot,
  provider: Provider,
  policy: UrlPolicy,
  now: Instant,
  jitter: number,
  isOurs = false,
): Result.Result<HeldSet, SnapshotRule> => {
  const strange = strangeness(snapshot, provider, policy)
  if (strange !== undefined) return refuse(strange)
  const { settings } = provider
  const { fetchedAt, fetchedInFullAt } = snapshot
  if (!(fetchedAt <= now.wall + clockTolerance)) return refuse("was fetched in the future")
  if (!(fetchedInFullAt <= fetchedAt)) return refuse("has times that contradict each other")
  const passed =
    isOurs && snapshot.rules === rulesOf(settings) ? asItWas(snapshot, settings) : judgedAnew(snapshot, settings)
  if (Result.isFailure(passed)) return Result.fail(passed.failure)
  const { expiresAt, jwks, staleUntil } = passed.success
  if (!(staleUntil > now.wall)) return refuse("is past its stale window")
  const lifetimeMillis = expiresAt - fetchedAt

  /** A moment of the snapshot on both clocks; what is still to come lasts no longer than it did then. */
  const instant = (wall: number): Instant => ({
    wall,
    mono: now.mono + Math.min(wall - now.wall, Math.max(0, wall - fetchedAt)),
  })
  const isFresh = expiresAt > now.wall
  const lead = Math.min(settings.refreshEarly, lifetimeMillis / 5)
  // In the second half of it: a restart is no moment to ask everybody.
  const pause = (0.5 + jitter / 2) * settings.minTtl
  const refreshAt = isFresh ? Math.min(now.wall + pause, Math.max(now.wall, expiresAt - lead)) : now.wall
  return Result.succeed({
    jwks,
    jwksUrl: snapshot.url,
    finalUrl: snapshot.finalUrl ?? snapshot.url,
    receivedAt: instant(fetchedAt),
    expiresAt: instant(expiresAt),
    staleUntil: instant(staleUntil),
    // Also one that is validated before each use: whoever asks first need not wait for it.
    refreshAt: { wall: refreshAt, mono: now.mono + (refreshAt - now.wall) },
    fetchedInFullAt: instant(fetchedInFullAt),
    headers: snapshot.headers,
    validators: snapshot.validators,
    removed: [],
  })
}
