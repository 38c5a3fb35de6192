/**
 * The process slept: the machine was suspended, so the wall clock has moved while timers stood still,
 * or the provider was idle and left to expire.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  answerAtOnce,
  assertWaits,
  begin,
  hours,
  minutes,
  seconds,
  settle,
  setUpLoaded,
  type SetUp,
  start,
} from "./support.ts"
import { withSteppedClock } from "../SteppedClock.ts"

/** How the set got past its lifetime without an attempt. */
const sleeps = {
  "a suspended machine": (how: SetUp = {}) =>
    Effect.map(setUpLoaded(how), (world) => ({ ...world, sleepFor: "step" as const })),
  "an idle provider": (how: SetUp = {}) =>
    Effect.map(setUpLoaded({ ...how, options: { idleAfter: "1 minute", ...how.options } }), (world) => ({
      ...world,
      sleepFor: "idle" as const,
    })),
}

for (const [name, make] of Object.entries(sleeps)) {
  /** A loaded provider whose set ended `past` milliseconds ago, with no attempt since. */
  const asleep = Effect.fnUntraced(function* (stepWall: (millis: number) => void, past: number, how?: SetUp) {
    const world = yield* make(how)
    const { kid } = world.idp.keys.current
    if (world.sleepFor === "step") stepWall(minutes(10) + past)
    else yield* TestClock.adjust(minutes(10) + past)
    assert.strictEqual(world.idp.requests, 1)
    return { ...world, kid }
  })

  describe(`Rule 4: expired, with no failed attempt since: join the flight (${name})`, () => {
    it.effect("waits for the flight, and gets the fresh answer", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { idp, kid, resolve } = yield* asleep(stepWall, minutes(5))
          yield* idp.faults.hold
          const caller = yield* begin(resolve(kid))
          yield* TestClock.adjust("900 millis")
          assertWaits(caller)
          yield* idp.faults.release()
          const key = yield* Fiber.join(caller)
          assert.deepInclude(key, { freshness: "fresh", fetchedAt: start + minutes(15) + 900 })
          assert.strictEqual(idp.requests, 2)
        }),
      ),
    )

    it.effect("gets the stale answer once the flight is 1 s old, and not earlier; the flight goes on", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { idp, kid, resolve, resolveSet } = yield* asleep(stepWall, minutes(5))
          yield* idp.faults.hold
          const caller = yield* begin(resolve(kid))
          const setCaller = yield* begin(resolveSet)
          yield* TestClock.adjust("999 millis")
          assertWaits(caller)
          assertWaits(setCaller)
          yield* TestClock.adjust("1 millis")
          assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).freshness, "stale")
          assert.strictEqual((yield* answerAtOnce(Fiber.join(setCaller))).freshness, "stale")
          // Nobody waits for the rest of it.
          assert.strictEqual((yield* answerAtOnce(resolve(kid))).freshness, "stale")
          assert.strictEqual(idp.abandoned, 0)
          yield* idp.faults.release()
          yield* settle
          assert.strictEqual((yield* answerAtOnce(resolve(kid))).freshness, "fresh")
          assert.strictEqual(idp.requests, 2)
        }),
      ),
    )

    it.effect("counts the second from the start of the flight, not from the question", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { idp, kid, resolve } = yield* asleep(stepWall, minutes(5))
          yield* idp.faults.hold
          yield* begin(resolve(kid))
          yield* TestClock.adjust("600 millis")
          const late = yield* begin(resolve(kid))
          yield* TestClock.adjust("399 millis")
          assertWaits(late)
          yield* TestClock.adjust("1 millis")
          assert.strictEqual((yield* answerAtOnce(Fiber.join(late))).freshness, "stale")
        }),
      ),
    )

    it.effect("gets the stale answer at the first failed attempt; the flight goes on to its next one", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { idp, kid, resolve } = yield* asleep(stepWall, minutes(5))
          yield* idp.faults.status(503, { next: 1 })
          const key = yield* answerAtOnce(resolve(kid))
          assert.strictEqual(key.freshness, "stale")
          assert.strictEqual(idp.requests, 2)
          yield* TestClock.adjust("250 millis")
          assert.strictEqual(idp.requests, 3)
          assert.strictEqual((yield* answerAtOnce(resolve(kid))).freshness, "fresh")
        }),
      ),
    )

    it.effect("gets the stale answer when the flight is over with its only attempt", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { idp, kid, resolve } = yield* asleep(stepWall, minutes(5))
          yield* idp.faults.status(404)
          assert.strictEqual((yield* answerAtOnce(resolve(kid))).freshness, "stale")
        }),
      ),
    )

    it.effect("shares one request among all callers", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { idp, kid, resolve } = yield* asleep(stepWall, minutes(5))
          yield* idp.faults.hold
          const callers = yield* begin(
            Effect.all(
              Array.from({ length: 100 }, () => resolve(kid)),
              { concurrency: 100 },
            ),
          )
          assert.strictEqual(idp.requests, 2)
          yield* idp.faults.release()
          for (const { freshness } of yield* Fiber.join(callers)) assert.strictEqual(freshness, "fresh")
          assert.strictEqual(idp.requests, 2)
        }),
      ),
    )

    it.effect("keeps whoever wants nothing stale waiting until the flight ends", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { idp, kid, resolve } = yield* asleep(stepWall, minutes(5))
          yield* idp.faults.hold
          const caller = yield* begin(resolve(kid, { allowStale: false }))
          yield* TestClock.adjust("2 seconds")
          assertWaits(caller)
          yield* idp.faults.release()
          assert.strictEqual((yield* Fiber.join(caller)).freshness, "fresh")
        }),
      ),
    )

    it.effect("gives nothing stale past the window: waits, and fails with the flight", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { idp, kid, resolve } = yield* asleep(stepWall, hours(1))
          yield* idp.faults.hang()
          const caller = yield* begin(resolve(kid))
          yield* TestClock.adjust("7 seconds")
          assertWaits(caller)
          yield* TestClock.adjust("1 second")
          const error = yield* Effect.flip(answerAtOnce(Fiber.join(caller)))
          assert.deepInclude(error, { _tag: "JwksUnavailable" })
        }),
      ),
    )

    it.effect("is fresh again for whoever comes past the window, when the provider answers", () =>
      withSteppedClock(({ stepWall }) =>
        Effect.gen(function* () {
          const { kid, resolve } = yield* asleep(stepWall, hours(5))
          assert.strictEqual((yield* resolve(kid)).freshness, "fresh")
        }),
      ),
    )
  })
}

describe("Rule 4: the flight that was under way when the set expired", () => {
  it.effect("is older than 1 s, so the stale answer comes at once", () =>
    Effect.gen(function* () {
      const { idp, resolve } = yield* setUpLoaded({
        registration: { retryPolicy: { attemptTimeout: "50 seconds", deadline: "60 seconds" } },
      })
      yield* idp.faults.hold
      yield* TestClock.setTime(start + seconds(600) - 1)
      assert.strictEqual(idp.faults.held, 1)
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "fresh")
      yield* TestClock.setTime(start + seconds(600))
      assert.strictEqual((yield* answerAtOnce(resolve())).freshness, "stale")
      assert.strictEqual(idp.requests, 2)
    }),
  )
})
