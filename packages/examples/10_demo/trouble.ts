/**
 * Steps of bad days: a provider is down, somebody forges kids, a tenant tries another one's keys. And the
 * last step, which compares the books.
 */
import { JwksRegistry, KeyNotFound, type ResolvedKey, type ResolveError } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Result from "effect/Result"
import { advance, check, counting, readCounts, settled, sum } from "./checks.ts"
import { resolveKey, verifyLatest } from "./tokens.ts"
import type { Step } from "./world.ts"

export const outage: Step = {
  sabotage: "staleWhileError is 0",
  run: Effect.fnUntraced(function* (world) {
    yield* world.a.goDown
    for (const duration of ["2 minutes", "38 minutes"] as const) {
      yield* advance(world, duration)
      for (const key of yield* verifyLatest(world)) {
        const expected = key.provider === world.a.id ? "stale" : "fresh"
        yield* check(key.freshness === expected, `the key of ${key.tenant} at ${key.provider} is ${key.freshness}`)
      }
    }
    return `A is down, its sets are over: they serve on (${world.a.resets} resets)`
  }),
}

export const recover: Step = {
  sabotage: "provider A stays down",
  run: Effect.fnUntraced(function* (world) {
    if (world.broken !== "recover") yield* world.a.comeUp
    const { counts } = yield* counting(world, advance(world, "1 minute"))
    yield* check(
      counts.requests === counts.notModified,
      `${counts.notModified} of ${counts.requests} were answered with 304`,
    )
    for (const key of yield* verifyLatest(world)) {
      yield* check(key.freshness === "fresh", `the key of ${key.tenant} at ${key.provider} is ${key.freshness}`)
    }
    return "A is back: fresh again, by a 304"
  }),
}

/** Requests that unknown kids may cause in a moment: the burst of the default `kidRefresh`. */
const budget = 2

const isNotFound = (answer: Result.Result<ResolvedKey, ResolveError>): boolean =>
  Result.isFailure(answer) && answer.failure instanceof KeyNotFound

export const flood: Step = {
  sabotage: "kidRefresh.burst is 1000",
  run: Effect.fnUntraced(function* (world) {
    const acme = world.logins.slice(0, 1)
    const before = world.a.requests
    for (let wave = 0; wave < 4; wave++) {
      const kids = Array.from({ length: 200 }, (_, index) => `forged-${wave}-${index}`)
      const [answers] = yield* Effect.all(
        [
          Effect.forEach(kids, (kid) => Effect.result(resolveKey(world, "acme", kid)), { concurrency: "unbounded" }),
          verifyLatest(world, acme),
        ],
        { concurrency: "unbounded" },
      )
      const notFound = answers.filter(isNotFound).length
      yield* check(notFound === kids.length, `${notFound} of ${kids.length} forged kids were not found`)
    }
    const requests = world.a.requests - before
    yield* check(requests <= budget, `${requests} requests went upstream, ${budget} are allowed`)
    return "800 forged kids at acme: none found, real ones verify"
  }),
}

export const isolation: Step = {
  sabotage: "globex is registered at provider A too",
  run: Effect.fnUntraced(function* (world) {
    if (world.broken === "isolation") {
      const { id, jwksUrl } = world.a
      yield* JwksRegistry.register({ tenant: "globex", provider: id, jwksUrl, requireHttps: false })
    }
    const foreign = [
      { tenant: "globex", kid: world.a.kid },
      { tenant: "acme", kid: world.b.kid },
    ]
    for (const { kid, tenant } of foreign) {
      const answer = yield* Effect.result(resolveKey(world, tenant, kid))
      yield* check(isNotFound(answer), `${tenant} resolves ${kid}, a key of a provider that is not its own`)
    }
    yield* resolveKey(world, "initech", world.a.kid)
    yield* resolveKey(world, "initech", world.b.kid)
    return "acme has no key of B, globex none of A, initech both"
  }),
}

export const counts: Step = {
  sabotage: "somebody else fetches the keys of A, too",
  run: Effect.fnUntraced(function* (world) {
    if (world.broken === "counts") yield* HttpClient.get(world.a.jwksUrl)
    yield* settled
    const statuses = yield* JwksRegistry.allStatuses
    for (const { id, notModified, requests } of [world.a, world.b]) {
      const own = statuses.filter(({ provider }) => provider === id)
      const answered = sum(own, ({ refreshErrors, refreshes }) => refreshes - refreshErrors)
      const confirmed = sum(own, (status) => status.notModified)
      yield* check(requests === answered, `${id} counted ${requests} requests, the registry ${answered}`)
      yield* check(notModified === confirmed, `${id} counted ${notModified} times 304, the registry ${confirmed}`)
    }
    const { hits, misses, notModified, requests } = yield* readCounts(world)
    yield* check(hits + misses === world.asked, `${hits} hits and ${misses} misses, but asked ${world.asked} times`)
    return `both sides count ${requests} requests, ${notModified} of them 304`
  }),
}
