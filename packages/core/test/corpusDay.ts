/**
 * A day of one published JWK Set, on the test's clock: the registry, with its default settings, keeps the
 * set fresh from a provider that sends the document with the headers that were observed.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import type { JwksEvent } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { defaultSettings } from "../src/Provider.ts"

/** What is published, and where. */
export interface Publication {
  readonly document: Uint8Array
  /** Observed headers, by name in any case. */
  readonly headers: Readonly<Record<string, string>>
  readonly jwksUrl: string
}

/** What became of it. Times are in milliseconds. */
export interface Day {
  readonly usable: number
  readonly dropped: number
  /** Of the first set, like `refreshAfter`: how long it is fresh, and when it is refreshed. */
  readonly lifetime: number
  readonly refreshAfter: number
  /** When each request was sent, from the start. */
  readonly requests: ReadonlyArray<number>
  /** How many of them were answered with 304. */
  readonly notModified: number
  /** How long it went. */
  readonly length: number
  /** What must not be. */
  readonly problems: ReadonlyArray<string>
}

/** When a day begins. */
export const start = Date.UTC(2026, 10, 20)
const hour = 3_600_000

/** A document that lives for a minute says nothing new after so many requests: its day ends with the hour. */
const enoughRequests = 200

const { maxTtl, minTtl, prefetchJitter, refreshEarly } = defaultSettings

/** When a set of this lifetime is refreshed at the earliest: ahead of its end by both leads at their longest. */
const earliestRefresh = (lifetime: number): number =>
  lifetime - Math.min(refreshEarly, lifetime / 5) - Math.min(prefetchJitter, lifetime / 10)

/** The shortest time between two requests. */
export const closest = (requests: ReadonlyArray<number>): number =>
  requests.slice(1).reduce((shortest, at, index) => Math.min(shortest, at - (requests[index] ?? 0)), Infinity)

/** A provider that sends validators of the kinds that were observed, and answers 304 to them. */
const publish = Effect.fnUntraced(function* ({ document, headers, jwksUrl }: Publication) {
  const observed = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const take = (name: string) => {
    const value = observed.get(name)
    observed.delete(name)
    return value
  }
  const etag = take("etag")
  const provider = yield* ScriptedProvider.make({
    issuer: new URL(jwksUrl).origin,
    jwksUrl,
    discovery: "none",
    keys: { spareKeys: 0 },
    keptRequests: 2 * enoughRequests,
    response: {
      cacheControl: take("cache-control"),
      etag: etag === undefined ? "none" : etag.startsWith("W/") ? "weak" : "strong",
      lastModified: take("last-modified") !== undefined,
      contentType: take("content-type") ?? "application/json",
      extra: Object.fromEntries(observed),
    },
  })
  yield* provider.keys.publishRaw(document)
  return provider
})

/** What is not as it has to be: how long sets live, when they are refreshed, and whether one was fresh at any time. */
export const problemsOf = (
  events: ReadonlyArray<JwksEvent>,
  requests: ReadonlyArray<number>,
  end: number,
): ReadonlyArray<string> => {
  const problems = events.flatMap((event) =>
    event._tag === "RefreshFailed" || event._tag === "StaleServing" || (event._tag === "KeysChanged" && !event.isFirst)
      ? [`${event._tag} after ${(event.time - start) / 1_000} s`]
      : [],
  )
  const sets = events.filter((event) => event._tag === "RefreshSucceeded")
  if (sets.length !== requests.length) problems.push(`${requests.length} requests for ${sets.length} sets`)
  for (const [index, { expiresAt, time }] of sets.entries()) {
    const lifetime = expiresAt - time
    const next = sets[index + 1]?.time ?? end
    if (lifetime < minTtl || lifetime > maxTtl) problems.push(`a lifetime of ${lifetime} ms`)
    if (next > expiresAt) problems.push(`no fresh set after ${(expiresAt - start) / 1_000} s`)
    if (next < end && next - time < Math.floor(earliestRefresh(lifetime))) {
      problems.push(`refreshed after ${next - time} ms of a lifetime of ${lifetime} ms`)
    }
  }
  if (closest(requests) < Math.floor(earliestRefresh(minTtl))) problems.push(`requests ${closest(requests)} ms apart`)
  return problems
}

/** Lets the registry keep a published set for a day, or for enough requests. */
export const day = (publication: Publication): Effect.Effect<Day> =>
  Effect.gen(function* () {
    yield* TestClock.setTime(start)
    const idp = yield* publish(publication)
    const services = yield* JwksRegistry.layer({}).pipe(
      Layer.provide([ScriptedProvider.layerClient(idp), Persistence.layerMemory, JwksMetrics.layerNoop]),
      Layer.build,
      Effect.orDie,
    )
    const registry = Context.get(services, JwksRegistry)
    const events: Array<JwksEvent> = []
    yield* registry.events.pipe(
      Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
      Effect.forkScoped({ startImmediately: true }),
    )
    const id = ["tenant", "provider"] as const
    yield* Effect.orDie(registry.register({ tenant: id[0], provider: id[1], jwksUrl: publication.jwksUrl }))
    const first = yield* Effect.orDie(registry.resolve(...id))
    const { dropped, nextRefreshAt = Number.NaN } = yield* Effect.orDie(registry.providerStatus(...id))
    let length = 0
    while (length < 24 * hour && idp.requests < enoughRequests) {
      yield* TestClock.adjust(hour)
      length += hour
    }
    const last = yield* Effect.orDie(registry.resolve(...id))
    const requests = idp.log.map(({ at }) => at - start)
    const kept = JSON.stringify(first.jwks) === JSON.stringify(last.jwks) && last.freshness === "fresh"
    return {
      usable: first.jwks.keys.length,
      dropped: dropped.length,
      lifetime: first.expiresAt - first.fetchedAt,
      refreshAfter: nextRefreshAt - first.fetchedAt,
      requests,
      notModified: idp.notModified,
      length,
      problems: [
        ...problemsOf(events, requests, start + length),
        ...(kept ? [] : ["at the end of the day the keys are not what they were"]),
      ],
    }
  }).pipe(
    Random.withSeed(publication.jwksUrl),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.scoped,
    Effect.provide(TestClock.layer()),
  )
