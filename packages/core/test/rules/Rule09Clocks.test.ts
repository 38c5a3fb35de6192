/**
 * A set is over at its wall-clock expiry or at its monotonic timer, whichever comes first.
 *
 * The clocks are wrapped: setting `TestClock` itself back would delay its sleeps too, which no real
 * clock does.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  answerAtOnce,
  assertWaits,
  begin,
  errorAtOnce,
  hours,
  minutes,
  seconds,
  setUp,
  setUpLoaded,
  start,
  withRandom,
  almostOne,
} from "./support.ts"
import { withSteppedClock } from "../SteppedClock.ts"

const day = hours(24)

describe("Rule 9: the wall clock is set back by a day", () => {
  it.effect("the set still ends when its lifetime has passed", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        yield* idp.faults.status(404)
        stepWall(-day)
        yield* TestClock.adjust(minutes(10) - 1)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
      }),
    ),
  )

  it.effect("the stale window still ends when it has passed", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve, status } = yield* setUpLoaded()
        yield* idp.faults.status(404)
        yield* TestClock.adjust("11 minutes")
        stepWall(-day)
        yield* TestClock.adjust(minutes(59) - 1)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
        yield* TestClock.adjust("1 millis")
        assert.isFalse((yield* status).usable)
        assert.strictEqual((yield* Effect.flip(resolve()))._tag, "JwksUnavailable")
      }),
    ),
  )

  it.effect("background refreshes go on at their pace", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        stepWall(-day)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(idp.requests, 7)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      }),
    ),
  )

  it.effect("times of a set that was fetched afterwards are those of the new wall clock", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { refresh, resolve } = yield* setUpLoaded()
        stepWall(-day)
        yield* refresh
        assert.deepInclude(yield* resolve(), { fetchedAt: start - day, expiresAt: start - day + minutes(10) })
      }),
    ),
  )

  it.effect("a failure is retried at its pace", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUp({ before: (idp) => idp.faults.status(404, { next: 1 }) })
        yield* errorAtOnce(resolve())
        stepWall(-day)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(idp.requests, 2)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      }),
    ),
  )

  it.effect("an absent kid is forgotten at its pace", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        yield* errorAtOnce(resolve("ghost"))
        stepWall(-day)
        yield* TestClock.adjust("30 seconds")
        yield* errorAtOnce(resolve("ghost"))
        assert.strictEqual(idp.requests, 3)
      }),
    ),
  )

  it.effect("tokens for unknown kids come back at their pace", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        yield* errorAtOnce(resolve("a"))
        yield* errorAtOnce(resolve("b"))
        stepWall(-day)
        yield* TestClock.adjust(seconds(30) - 1)
        yield* errorAtOnce(resolve("c"))
        assert.strictEqual(idp.requests, 3)
        yield* TestClock.adjust("1 millis")
        yield* errorAtOnce(resolve("d"))
        assert.strictEqual(idp.requests, 4)
      }),
    ),
  )

  it.effect("a request that is under way is timed at its pace", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { resolve } = yield* setUp({
          before: (idp) => idp.faults.hang(),
          registration: { retryPolicy: { maxRetries: 0 } },
        })
        const caller = yield* begin(Effect.flip(resolve()))
        stepWall(-day)
        yield* TestClock.adjust("2999 millis")
        assertWaits(caller)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* answerAtOnce(Fiber.join(caller)))._tag, "JwksUnavailable")
      }),
    ),
  )
})

describe("Rule 9: the machine was suspended: the wall clock moved, timers and the monotonic clock stood still", () => {
  it.effect("the set is over as soon as the machine wakes, a day later: nothing stale is served", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve, status } = yield* setUpLoaded()
        yield* idp.faults.hold
        stepWall(day)
        assert.deepInclude(yield* status, { usable: false })
        const caller = yield* begin(resolve())
        assertWaits(caller)
        assert.strictEqual(idp.requests, 2)
        yield* TestClock.adjust("2 seconds")
        assertWaits(caller)
        yield* idp.faults.release()
        assert.deepInclude(yield* Fiber.join(caller), { freshness: "fresh", fetchedAt: start + day + seconds(2) })
      }),
    ),
  )

  it.effect("the set is over to the millisecond", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        stepWall(minutes(10) - 1)
        assert.deepInclude(yield* answerAtOnce(resolve()), { freshness: "fresh", fetchedAt: start })
        yield* idp.faults.hold
        stepWall(1)
        assertWaits(yield* begin(resolve()))
      }),
    ),
  )

  it.effect("the set of a short sleep is joined, then served stale", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        yield* idp.faults.hang()
        stepWall(minutes(40))
        const caller = yield* begin(resolve())
        yield* TestClock.adjust("1 second")
        assert.deepInclude(yield* answerAtOnce(Fiber.join(caller)), { freshness: "stale", fetchedAt: start })
      }),
    ),
  )

  it.effect("the stale window is over by the wall clock too", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve, status } = yield* setUpLoaded()
        yield* idp.faults.status(404)
        yield* TestClock.adjust("15 minutes")
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
        stepWall(minutes(55))
        assert.isFalse((yield* status).usable)
        assert.strictEqual((yield* Effect.flip(resolve()))._tag, "JwksUnavailable")
      }),
    ),
  )

  it.effect("a machine that wakes without traffic refreshes by its timer", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        stepWall(day)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
        assert.isAtLeast(idp.requests, 2)
      }),
    ),
  )

  it.effect("an unknown kid asks again after the sleep: the memory is over", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded({ provider: { response: { cacheControl: "max-age=3600" } } })
        yield* errorAtOnce(resolve("ghost"))
        stepWall(minutes(5))
        yield* errorAtOnce(resolve("ghost"))
        assert.strictEqual(idp.requests, 3)
      }),
    ),
  )

  it.effect("a remembered failure is over after the sleep", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUp({
          before: (idp) => idp.faults.status(503, { retryAfter: "10 minutes", next: 1 }),
        })
        yield* errorAtOnce(resolve())
        yield* errorAtOnce(resolve())
        assert.strictEqual(idp.requests, 1)
        stepWall(hours(1))
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      }),
    ).pipe(withRandom(almostOne)),
  )
})

describe("Rule 9: the wall clock is set forward", () => {
  it.effect("costs one revalidation, not the service", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        stepWall(day)
        assert.strictEqual((yield* resolve()).freshness, "fresh")
        yield* TestClock.adjust("9 minutes")
        yield* answerAtOnce(resolve())
        assert.strictEqual(idp.requests, 2)
      }),
    ),
  )
})

describe("Rule 9: the wall clock stands still", () => {
  it.effect("the set ends with its timer, and so does its stale window", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { idp, resolve } = yield* setUpLoaded()
        yield* idp.faults.status(404)
        const pass = (millis: number) =>
          Effect.andThen(
            TestClock.adjust(millis),
            Effect.sync(() => stepWall(-millis)),
          )
        yield* Effect.replicateEffect(pass(minutes(1)), 9)
        yield* pass(minutes(1) - 1)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
        yield* pass(1)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
        yield* Effect.replicateEffect(pass(minutes(1)), 59)
        yield* pass(minutes(1) - 1)
        assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
        yield* pass(1)
        assert.strictEqual((yield* Effect.flip(resolve()))._tag, "JwksUnavailable")
      }),
    ),
  )
})
