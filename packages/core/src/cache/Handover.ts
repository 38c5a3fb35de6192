/**
 * What a new registration of a provider takes over from the one before it. The set stays only if URL,
 * issuer and every transport setting are unchanged; the key policy and the clamps run over it again, and
 * its times only get shorter. Pure.
 */
import { evaluate } from "../http/Freshness.ts"
import type { JwksLocation } from "../http/IssuerMetadata.ts"
import { earlier, type Instant, isOver, plus } from "../Instant.ts"
import { judge } from "../jwk/KeyPolicy.ts"
import type { Provider, ResolvedSettings } from "../Provider.ts"
import { transportIdentity } from "../registration/Registration.ts"
import type { Failure, HeldSet } from "./CacheState.ts"
import { type KidBudget, rescale } from "./UnknownKids.ts"

/** Numbers that outlive a new registration of the same provider. */
export interface Counts {
  /** Questions that were not answered from the set at once. */
  misses: number
  /** Stale answers that were no hits. */
  staleMisses: number
  unknownKids: number
  refreshes: number
  notModified: number
  readonly refreshErrors: Map<string, number>
}

/** What one generation leaves to the next. */
export interface Handover {
  readonly held: HeldSet | undefined
  readonly location: JwksLocation | undefined
  /** The latest moment of the wall clock at which a set was fetched: nothing older may come back. */
  readonly newestAt: number
  readonly failure: Failure | undefined
  readonly budget: KidBudget
  readonly lastAttemptTimedOut: boolean
  readonly counts: Counts
  readonly hits: number
  readonly staleHits: number
}

/** What `next` may take over of what `before` leaves. */
export const adopt = (left: Handover, before: Provider, next: Provider, now: Instant): Handover => {
  const isSameSource = transportIdentity(before) === transportIdentity(next)
  const held = isSameSource && left.held !== undefined ? adoptSet(left.held, next.settings) : undefined
  return {
    ...left,
    held,
    location: isSameSource && left.location !== undefined ? adoptLocation(left.location, next.settings) : undefined,
    newestAt: isSameSource ? left.newestAt : Number.NEGATIVE_INFINITY,
    failure: isSameSource && left.failure !== undefined ? adoptFailure(left.failure, held, now) : undefined,
    budget: rescale(left.budget, before.settings.kidRefresh, next.settings.kidRefresh),
    lastAttemptTimedOut: isSameSource && left.lastAttemptTimedOut,
  }
}

const adoptLocation = (location: JwksLocation, settings: ResolvedSettings): JwksLocation => {
  const { lifetimeMillis } = evaluate(location.headers, location.receivedAt.wall, settings)
  return { ...location, dueAt: earlier(location.dueAt, plus(location.receivedAt, lifetimeMillis)) }
}

/** A failure lasts with its set; alone, as long as the provider itself has asked for a pause. */
const adoptFailure = (failure: Failure, held: HeldSet | undefined, now: Instant): Failure | undefined => {
  const { retryAfterUntil } = failure
  if (held !== undefined) return failure
  return retryAfterUntil === undefined || isOver(retryAfterUntil, now)
    ? undefined
    : { ...failure, nextAttemptAt: retryAfterUntil, rememberedUntil: retryAfterUntil }
}

/** Whether today's settings let a set be kept (RFC 9111 section 5.2.2.5, `no-store`). */
export const mayBeKept = ({ headers, receivedAt }: HeldSet, settings: ResolvedSettings): boolean =>
  evaluate(headers, receivedAt.wall, settings).keep

const adoptSet = (held: HeldSet, settings: ResolvedSettings): HeldSet | undefined => {
  if (held.jwks.source.length > settings.maxKeys) return undefined
  const jwks = judge(held.jwks.source, settings)
  const verdict = evaluate(held.headers, held.receivedAt.wall, settings)
  if (jwks.keys.length === 0 || !verdict.keep) return undefined
  const expiresAt = earlier(held.expiresAt, plus(held.receivedAt, verdict.lifetimeMillis))
  const lead = Math.min(settings.refreshEarly, verdict.lifetimeMillis / 5)
  return {
    ...held,
    jwks,
    expiresAt,
    staleUntil: earlier(held.staleUntil, plus(expiresAt, verdict.staleMillis)),
    refreshAt:
      held.refreshAt === undefined || verdict.lifetimeMillis === 0
        ? undefined
        : earlier(held.refreshAt, plus(expiresAt, -lead)),
    removed: held.removed
      .filter(({ key }) => settings.removedKeyGrace > 0 && judge([key.jwk], settings).keys.length === 1)
      .map((removed) => ({
        ...removed,
        until: earlier(removed.until, plus(removed.removedAt, settings.removedKeyGrace)),
      })),
  }
}
