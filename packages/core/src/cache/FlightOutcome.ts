/**
 * What becomes of a flight that went well: the set with its times, what changed, and what there is to
 * tell. Pure.
 */
import { type Instant, plus } from "../Instant.ts"
import type { JwksEventBody } from "../JwksEvent.ts"
import type { ParsedJwks, UsableKey } from "../jwk/Jwks.ts"
import { diff } from "../jwk/KeyPolicy.ts"
import type { KeyChanges } from "../Resolved.ts"
import type { Failure, HeldSet } from "./CacheState.ts"
import { removedKeys } from "./RemovedKeys.ts"
import type { Revalidated } from "./Revalidation.ts"

/** A flight that brought a set (200) or had it confirmed (304). */
export type Success = Exclude<Revalidated, { readonly _tag: "Failed" }>

/** The set that is held from now on; `refreshDelay` draws the delay of the next refresh from the lifetime. */
export const heldAfter = (
  success: Success,
  before: HeldSet | undefined,
  graceMillis: number,
  refreshDelay: (lifetimeMillis: number) => number,
): HeldSet => {
  const { headers, receivedAt, verdict } = success
  const expiresAt = plus(receivedAt, verdict.lifetimeMillis)
  const times = {
    receivedAt,
    expiresAt,
    staleUntil: plus(expiresAt, verdict.staleMillis),
    // A set that is validated before each use (`strictHttp`) has nothing to refresh ahead of.
    refreshAt: verdict.lifetimeMillis === 0 ? undefined : plus(receivedAt, refreshDelay(verdict.lifetimeMillis)),
  }
  if (success._tag === "Confirmed") return { ...success.held, ...times, headers }
  return {
    ...times,
    jwks: success.jwks,
    jwksUrl: success.jwksUrl,
    finalUrl: success.finalUrl,
    fetchedInFullAt: receivedAt,
    headers,
    validators: success.validators,
    removed: removedKeys(before, success.jwks, graceMillis, receivedAt),
  }
}

/** What changed by thumbprint; `undefined` for a set that was confirmed. */
export const changesAfter = (success: Success, before: HeldSet | undefined): KeyChanges | undefined =>
  success._tag === "Updated" ? diff(before?.jwks, success.jwks) : undefined

/**
 * Whether the new set answers every question as the old one did. A key that only got another kid or
 * another `alg` shows in no thumbprint.
 */
export const answersAlike = (success: Success, before: HeldSet | undefined): boolean => {
  if (success._tag === "Confirmed") return true
  const said = ({ keys }: ParsedJwks) =>
    JSON.stringify(keys.map(({ algorithms, kid, thumbprint }) => [kid, thumbprint, algorithms]))
  return before !== undefined && said(before.jwks) === said(success.jwks)
}

/** What there is to tell, in order. */
export const eventsAfter = (
  success: Success,
  before: HeldSet | undefined,
  held: HeldSet,
  changes: KeyChanges | undefined,
  failure: Failure | undefined,
  now: Instant,
  startedAt: Instant,
): ReadonlyArray<JwksEventBody> => [
  {
    _tag: "RefreshSucceeded",
    notModified: success._tag === "Confirmed",
    keys: held.jwks.keys.length,
    durationMillis: now.mono - startedAt.mono,
    expiresAt: held.expiresAt.wall,
  },
  ...(failure === undefined ? [] : [{ _tag: "RefreshRecovered" as const, failures: failure.count }]),
  ...(changes === undefined ? [] : changeEvents(changes, before?.jwks, held.jwks)),
  ...(success._tag === "Updated" ? newlyDropped(before?.jwks, success.jwks) : []),
]

/** What there is to tell of one set in the place of another, or of none. */
export const keysChanged = (before: ParsedJwks | undefined, after: ParsedJwks): ReadonlyArray<JwksEventBody> =>
  changeEvents(diff(before, after), before, after)

const changeEvents = (
  changes: KeyChanges,
  before: ParsedJwks | undefined,
  after: ParsedJwks,
): ReadonlyArray<JwksEventBody> =>
  changes.added.length + changes.removed.length + changes.changed.length === 0
    ? []
    : [
        {
          _tag: "KeysChanged",
          isFirst: before === undefined,
          ...changes,
          kids: kidsOf(changes, [...(before?.keys ?? []), ...after.keys]),
        },
      ]

/** The kid of each thumbprint that the changes name. */
const kidsOf = (
  { added, changed, removed }: KeyChanges,
  keys: ReadonlyArray<UsableKey>,
): Readonly<Record<string, string>> => {
  const named = new Set([...added, ...removed, ...changed.flatMap(({ from, to }) => [from, to])])
  return Object.fromEntries(
    keys.flatMap(({ kid, thumbprint }) => (kid === undefined || !named.has(thumbprint) ? [] : [[thumbprint, kid]])),
  )
}

/** So many dropped keys are told one by one after a flight: a provider may publish thousands, and new ones each time. */
const mostDropped = 16

/** One event for each key that was not dropped for the same reason before; the last one says how many more there are. */
const newlyDropped = (before: ParsedJwks | undefined, after: ParsedJwks): ReadonlyArray<JwksEventBody> => {
  const known = new Set(before?.dropped.map(({ kid, reason }) => `${reason} ${kid}`))
  const fresh = after.dropped.filter(({ kid, reason }) => {
    const id = `${reason} ${kid}`
    return !known.has(id) && known.add(id)
  })
  const more = fresh.length - mostDropped
  return fresh.slice(0, mostDropped).map(({ kid, reason }, i) => ({
    _tag: "KeyDropped" as const,
    reason,
    ...(kid !== undefined && { kid }),
    ...(more > 0 && i === mostDropped - 1 && { more }),
  }))
}
