import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { RefreshScheduler, ScheduledItem } from "../../src/cache/RefreshScheduler.ts"

const start = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
  const scheduler = new RefreshScheduler()
  yield* Effect.forkChild(scheduler.run, { startImmediately: true })
  const origin = monotonic()
  const called: Array<readonly [string, number]> = []
  const item = (name: string, onDue = () => {}) =>
    new ScheduledItem(() => {
      called.push([name, monotonic() - origin])
      onDue()
    })
  return { scheduler, origin, called, item }
})

describe("RefreshScheduler", () => {
  it.effect("calls items when they are due, in order", () =>
    Effect.gen(function* () {
      const { called, item, origin, scheduler } = yield* start
      scheduler.schedule(item("late"), origin + 2_000)
      scheduler.schedule(item("early"), origin + 500)
      yield* TestClock.adjust("499 millis")
      expect(called).toEqual([])
      yield* TestClock.adjust("10 seconds")
      expect(called).toEqual([
        ["early", 500],
        ["late", 2_000],
      ])
      expect(scheduler.size).toBe(0)
    }),
  )

  it.effect("wakes up for a deadline that is sooner than the one it sleeps for", () =>
    Effect.gen(function* () {
      const { called, item, origin, scheduler } = yield* start
      scheduler.schedule(item("hour"), origin + 3_600_000)
      yield* TestClock.adjust("1 second")
      scheduler.schedule(item("soon"), origin + 1_500)
      yield* TestClock.adjust("1 second")
      expect(called).toEqual([["soon", 1_500]])
    }),
  )

  it.effect("calls nothing inside schedule, however late it is", () =>
    Effect.gen(function* () {
      const { called, item, origin, scheduler } = yield* start
      scheduler.schedule(item("hour"), origin + 3_600_000)
      yield* TestClock.adjust("1 second")
      scheduler.schedule(item("overdue"), origin)
      expect(called).toEqual([])
      yield* Effect.yieldNow
      expect(called).toEqual([["overdue", 1_000]])
    }),
  )

  it.effect("moves a deadline and takes one away", () =>
    Effect.gen(function* () {
      const { called, item, origin, scheduler } = yield* start
      const [moved, cancelled] = [item("moved"), item("cancelled")]
      scheduler.schedule(moved, origin + 100)
      scheduler.schedule(cancelled, origin + 100)
      scheduler.schedule(moved, origin + 900)
      scheduler.cancel(cancelled)
      scheduler.cancel(cancelled)
      yield* TestClock.adjust("10 seconds")
      expect(called).toEqual([["moved", 900]])
    }),
  )

  it.effect("lets an item schedule itself again, and others away", () =>
    Effect.gen(function* () {
      const { called, item, origin, scheduler } = yield* start
      let times = 0
      const other = item("other")
      const again: ScheduledItem = item("again", () => {
        scheduler.schedule(other, origin + 50_000)
        times += 1
        if (times < 3) scheduler.schedule(again, origin + 100 * (times + 1))
      })
      scheduler.schedule(again, origin + 100)
      scheduler.schedule(other, origin + 100)
      yield* TestClock.adjust("1 second")
      expect(called).toEqual([
        ["again", 100],
        ["again", 200],
        ["again", 300],
      ])
    }),
  )

  it.effect.prop(
    "calls each item exactly once and never early, for any schedule, move and cancellation",
    [
      Arbitrary.schema(
        Schema.Array(
          Schema.Tuple([
            Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 19 })),
            Schema.Int.check(Schema.isBetween({ minimum: -1, maximum: 1_000 })),
          ]),
        ),
      ),
    ],
    ([commands]) =>
      Effect.gen(function* () {
        const { called, item, origin, scheduler } = yield* start
        const items = Array.from({ length: 20 }, (_, i) => item(String(i)))
        const expected = new Map<string, number>()
        for (const [index, due] of commands) {
          const target = items[index]
          if (target === undefined) continue
          if (due < 0) {
            scheduler.cancel(target)
            expected.delete(String(index))
          } else {
            scheduler.schedule(target, origin + due)
            expected.set(String(index), due)
          }
        }
        yield* TestClock.adjust("2 seconds")
        expect(new Map(called)).toEqual(new Map(Array.from(expected, ([name, due]) => [name, Math.max(due, 0)])))
        expect(called.length).toBe(expected.size)
        expect(called.map(([, time]) => time)).toEqual(called.map(([, time]) => time).toSorted((a, b) => a - b))
      }),
  )
})
