import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { earlier, isOver, monotonicMillis, now, plus, remaining } from "../src/Instant.ts"

describe("Instant", () => {
  it.effect("counts monotonic milliseconds exactly, also far from the clock's origin", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      yield* TestClock.setTime(1_795_132_800_123)
      const before = monotonicMillis(clock)
      yield* TestClock.adjust("10 minutes")
      expect(monotonicMillis(clock)).toBe(before + 600_000)
      expect(now(clock)).toEqual({ wall: 1_795_133_400_123, mono: before + 600_000 })
    }),
  )

  it("is over as soon as either clock says so", () => {
    const deadline = plus({ wall: 1_000, mono: 10 }, 5)
    expect(deadline).toEqual({ wall: 1_005, mono: 15 })
    expect(isOver(deadline, { wall: 1_004, mono: 14 })).toBe(false)
    expect(isOver(deadline, { wall: 1_005, mono: 0 })).toBe(true)
    expect(isOver(deadline, { wall: 0, mono: 15 })).toBe(true)
    expect(remaining(deadline, { wall: 1_001, mono: 14 })).toBe(1)
    expect(remaining(deadline, { wall: 2_000, mono: 0 })).toBe(0)
    expect(earlier(deadline, { wall: 1_010, mono: 1 })).toEqual({ wall: 1_005, mono: 1 })
  })
})
