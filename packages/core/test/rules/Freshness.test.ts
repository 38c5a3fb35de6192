/**
 * From the headers of a response to the `expiresAt` of a set: lifetimes by Cache-Control, Age, Date and
 * Expires, end to end.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ResponseSettings } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { hours, minutes, seconds, setUpLoaded, start } from "./support.ts"

const httpDate = (offset: number): string => new Date(start + seconds(offset)).toUTCString()

/** Headers, and how many seconds a set lives with them (minTtl 60 s, maxTtl 24 h, defaultTtl 10 min). */
const lifetimes: ReadonlyArray<readonly [string, ResponseSettings, number]> = [
  ["no Cache-Control: the default", { cacheControl: undefined }, 600],
  ["no Cache-Control but Last-Modified: no heuristic", { cacheControl: undefined, lastModified: true }, 600],
  ["max-age", { cacheControl: "max-age=300" }, 300],
  ["max-age with public", { cacheControl: "public, max-age=300" }, 300],
  ["max-age with private, for a cache of one's own", { cacheControl: "private, max-age=300" }, 300],
  ["s-maxage is for shared caches", { cacheControl: "s-maxage=100, max-age=300" }, 300],
  ["must-revalidate changes no lifetime", { cacheControl: "max-age=300, must-revalidate" }, 300],
  ["immutable changes no lifetime", { cacheControl: "max-age=300, immutable" }, 300],
  ["Auth0", { cacheControl: "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400" }, 60],
  ["Google", { cacheControl: "public, max-age=20000, must-revalidate, no-transform", age: 5_000 }, 15_000],
  ["Microsoft", { cacheControl: "max-age=86400, private", extra: { "set-cookie": "a=b" } }, 86_400],
  ["less than minTtl", { cacheControl: "max-age=59" }, 60],
  ["0", { cacheControl: "max-age=0" }, 60],
  ["more than maxTtl", { cacheControl: "max-age=31536000" }, 86_400],
  ["360 days of a certain bank", { cacheControl: "max-age=31104000" }, 86_400],
  ["more than numbers hold", { cacheControl: `max-age=${"9".repeat(30)}` }, 86_400],
  ["no-store", { cacheControl: "no-store" }, 60],
  ["no-store with max-age", { cacheControl: "no-store, max-age=300" }, 60],
  ["no-cache", { cacheControl: "no-cache" }, 60],
  ["no-cache in another case", { cacheControl: "No-Cache, Max-Age=300" }, 60],
  ["names in capitals", { cacheControl: "MAX-AGE=300" }, 300],
  ["qualified no-cache is dropped", { cacheControl: 'no-cache="set-cookie", max-age=300' }, 300],
  ["duplicates: the most restrictive", { cacheControl: "max-age=300, max-age=100" }, 100],
  ["duplicates the other way round", { cacheControl: "max-age=100, max-age=300" }, 100],
  ["a doubled list", { cacheControl: "public, max-age=300, public, max-age=300" }, 300],
  ["a header of more than 8 KiB is ignored", { cacheControl: `max-age=300, x="${"y".repeat(8_200)}"` }, 600],
  ["a header of 8 KiB less is not", { cacheControl: `max-age=300, x="${"y".repeat(7_000)}"` }, 300],
  ["Age is subtracted", { cacheControl: "max-age=300", age: 100 }, 200],
  ["Age leaves minTtl at least", { cacheControl: "max-age=300", age: 250 }, 60],
  ["Age beyond the lifetime: expired, minTtl", { cacheControl: "max-age=300", age: 1_000 }, 60],
  ["a negative Age is ignored", { cacheControl: "max-age=300", age: -100 }, 300],
  ["an Age that is no number is ignored", { cacheControl: "max-age=300", age: "old" }, 300],
  ["an absurd Age is ignored", { cacheControl: "max-age=300", age: "99999999999999999999" }, 300],
  ["a Date in the past ages the response", { cacheControl: "max-age=300", date: start - seconds(100) }, 200],
  ["a Date in the future is ignored", { cacheControl: "max-age=300", date: start + seconds(100) }, 300],
  ["a Date that is none is ignored", { cacheControl: "max-age=300", date: "yesterday" }, 300],
  ["no Date", { cacheControl: "max-age=300", date: undefined }, 300],
  ["the larger of Age and Date", { cacheControl: "max-age=300", age: 50, date: start - seconds(100) }, 200],
  ["the larger of Date and Age", { cacheControl: "max-age=300", age: 150, date: start - seconds(100) }, 150],
  ["the default ages as well", { cacheControl: undefined, age: 100 }, 500],
  ["Expires", { cacheControl: undefined, extra: { expires: httpDate(300) } }, 300],
  ["Expires with Age", { cacheControl: undefined, age: 100, extra: { expires: httpDate(300) } }, 200],
  ["Expires in the past", { cacheControl: undefined, extra: { expires: httpDate(-300) } }, 60],
  ["Expires 0 is in the past", { cacheControl: undefined, extra: { expires: "0" } }, 60],
  ["max-age goes before Expires", { cacheControl: "max-age=300", extra: { expires: httpDate(3_000) } }, 300],
  ["max-age goes before an Expires in the past", { cacheControl: "max-age=300", extra: { expires: "-1" } }, 300],
  [
    "Expires where Cache-Control says nothing about it",
    { cacheControl: "public", extra: { expires: httpDate(300) } },
    300,
  ],
  ["public alone: the default", { cacheControl: "public" }, 600],
]

describe("The lifetime of a set, from its response", () => {
  for (const [name, response, expected] of lifetimes) {
    it.effect(`${name}: ${expected} s`, () =>
      Effect.gen(function* () {
        const { status } = yield* setUpLoaded({ provider: { response } })
        const { expiresAt = 0, fetchedAt } = yield* status
        assert.deepStrictEqual([fetchedAt, (expiresAt - start) / 1_000], [start, expected])
      }),
    )
  }

  it.effect("goes on with whatever nonsense a header holds", () =>
    Effect.gen(function* () {
      for (const cacheControl of [
        "",
        ",",
        "=",
        "max-age",
        "max-age=",
        "max-age=soon",
        "max-age=-5",
        'max-age="300"',
        "max-age=1e3",
        "max-age=300=400",
        "Cache-Control: max-age=300",
        "max-age=300; public",
        "\u00e4\u00f6",
        'no-cache="',
      ]) {
        const { resolve, status } = yield* setUpLoaded({ provider: { response: { cacheControl } } })
        yield* resolve()
        const lifetime = ((yield* status).expiresAt ?? 0) - start
        assert.isAtLeast(lifetime, minutes(1), cacheControl)
        assert.isAtMost(lifetime, minutes(10), cacheControl)
      }
    }),
  )

  it.effect("counts from when the response was received, not from when it was asked for", () =>
    Effect.gen(function* () {
      const { idp, refresh, status } = yield* setUpLoaded({ provider: { response: { date: undefined } } })
      yield* idp.faults.delay("2 seconds")
      const refreshing = yield* Effect.forkChild(refresh)
      yield* TestClock.adjust("2 seconds")
      yield* Effect.yieldNow
      assert.isDefined(refreshing.pollUnsafe())
      assert.strictEqual((yield* status).fetchedAt, start + seconds(2))
      assert.strictEqual((yield* status).expiresAt, start + seconds(602))
    }),
  )
})

describe("The stale window of a set, from its response", () => {
  it.effect.each([
    ["max-age=300", hours(1)],
    ["max-age=300, stale-if-error=60", minutes(1)],
    ["max-age=300, stale-if-error=0", 0],
    ["max-age=300, stale-if-error=86400", hours(1)],
    ["max-age=300, stale-while-revalidate=10", hours(1)],
    ["max-age=300, must-revalidate", hours(1)],
    ["max-age=300, STALE-IF-ERROR=60", minutes(1)],
    ["max-age=300, stale-if-error=600, stale-if-error=60", minutes(1)],
    ["max-age=300, stale-if-error=soon", hours(1)],
    ["no-store", hours(1)],
    ["no-cache", hours(1)],
  ] as const)("%s: stale-if-error may shorten the window, never lengthen it", ([cacheControl, window]) =>
    Effect.gen(function* () {
      const { status } = yield* setUpLoaded({ provider: { response: { cacheControl } } })
      const { expiresAt = 0, staleUntil = 0 } = yield* status
      assert.strictEqual(staleUntil - expiresAt, window)
    }),
  )
})
