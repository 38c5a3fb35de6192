/**
 * A day of a published JWK Set: how it goes, and that the judgement of it can fail.
 */
import { assert, describe, it } from "@effect/vitest"
import type { JwksEvent, JwksEventBody } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import { closest, day, problemsOf, start } from "./corpusDay.ts"
import { p256, rsa } from "./jwk/sampleKeys.ts"

const publication = (headers: Readonly<Record<string, string>>) => ({
  document: new TextEncoder().encode(JSON.stringify({ keys: [rsa, p256, { kty: "oct", k: "AA" }] })),
  headers: { "Content-Type": "application/json", ...headers },
  jwksUrl: "https://idp.test/keys?of=tenant",
})

describe("a day of a published set", () => {
  it.effect.each([
    ["no-store", 60],
    ["public, max-age=15, stale-while-revalidate=15", 60],
    ["max-age=300, must-revalidate", 300],
    ["max-age=31087410", 86_400],
  ] as const)("%s: fresh for %i s, and refreshed a little ahead of that", ([cacheControl, seconds]) =>
    Effect.gen(function* () {
      const { dropped, lifetime, problems, refreshAfter, requests, usable } = yield* day(
        publication({ "Cache-Control": cacheControl }),
      )
      const lead = Math.min(30, seconds / 5)
      const jitter = Math.min(5, seconds / 10)
      assert.deepStrictEqual([usable, dropped, lifetime, problems], [2, 1, seconds * 1_000, []])
      assert.isAtMost(refreshAfter, (seconds - lead) * 1_000)
      assert.isAtLeast(closest(requests), (seconds - lead - jitter) * 1_000)
    }),
  )

  it.effect("goes on for 24 hours, or until it has seen enough", () =>
    Effect.gen(function* () {
      const [short, long] = [yield* day(publication({ "Cache-Control": "no-cache" })), yield* day(publication({}))]
      assert.isAbove(short.requests.length, 200)
      assert.isBelow(short.length, 4 * 3_600_000)
      assert.strictEqual(long.length, 24 * 3_600_000)
      assert.isAbove(long.requests.length, 24 * 6)
    }),
  )

  it.effect.each([
    [{}, 0],
    [{ ETag: '"1"' }, 1],
    [{ ETag: 'W/"1"' }, 1],
    [{ "Last-Modified": "Thu, 29 May 2025 00:00:00 GMT" }, 1],
  ] as const)("is confirmed by 304s where a validator was observed: %o", ([validator, part]) =>
    Effect.gen(function* () {
      const { notModified, problems, requests } = yield* day(publication({ "Cache-Control": "no-cache", ...validator }))
      assert.deepStrictEqual([notModified, problems], [part * (requests.length - 1), []])
    }),
  )
})

describe("the judgement", () => {
  const at = (seconds: number, event: JwksEventBody): JwksEvent => ({
    tenant: "tenant",
    provider: "provider",
    time: start + seconds * 1_000,
    ...event,
  })
  const set = (seconds: number, lifetime: number) =>
    at(seconds, {
      _tag: "RefreshSucceeded",
      notModified: false,
      keys: 1,
      durationMillis: 0,
      expiresAt: start + (seconds + lifetime) * 1_000,
    })
  const judged = (end: number, ...events: ReadonlyArray<JwksEvent>) =>
    problemsOf(
      events,
      events.filter(({ _tag }) => _tag === "RefreshSucceeded").map(({ time }) => time - start),
      start + end * 1_000,
    )

  it("takes minTtl less both leads between two requests, and a millisecond less not", () => {
    assert.deepStrictEqual(judged(100, set(0, 60), set(43, 60)), [])
    assert.deepStrictEqual(judged(100, set(0, 60), set(42.999, 60)), [
      "refreshed after 42999 ms of a lifetime of 60000 ms",
      "requests 42999 ms apart",
    ])
  })

  it("takes no refresh long before the end of a long life", () => {
    assert.deepStrictEqual(judged(700, set(0, 600), set(60, 660)), [
      "refreshed after 60000 ms of a lifetime of 600000 ms",
    ])
  })

  it("takes no lifetime under minTtl or over maxTtl", () => {
    assert.deepStrictEqual(judged(50, set(0, 59)), ["a lifetime of 59000 ms"])
    assert.deepStrictEqual(judged(50, set(0, 86_401)), ["a lifetime of 86401000 ms"])
  })

  it("takes no moment without a fresh set", () => {
    assert.deepStrictEqual(judged(100, set(0, 60), set(61, 60)), ["no fresh set after 60 s"])
    assert.deepStrictEqual(judged(100, set(0, 60)), ["no fresh set after 60 s"])
  })

  it("takes no request that brought no set", () => {
    assert.deepStrictEqual(problemsOf([set(0, 60)], [0, 50_000], start + 60_000), ["2 requests for 1 sets"])
  })

  it("takes no stale answers", () => {
    assert.deepStrictEqual(judged(60, set(0, 60), at(50, { _tag: "StaleServing", until: start })), [
      "StaleServing after 50 s",
    ])
  })
})
