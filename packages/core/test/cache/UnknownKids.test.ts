import { describe, expect, it } from "@effect/vitest"
import { Absences, fullBudget, maxAbsences, rescale, takeToken } from "../../src/cache/UnknownKids.ts"
import type { Instant } from "../../src/Instant.ts"

const at = (millis: number): Instant => ({ wall: 1_000_000 + millis, mono: millis })
const limits = { burst: 2, every: 30_000 }

describe("takeToken", () => {
  it("gives a burst, then one token per interval, to the millisecond", () => {
    let budget = fullBudget(limits, at(0))
    const take = (millis: number) => {
      const token = takeToken(budget, limits, at(millis))
      budget = token.budget
      return token.taken
    }
    expect([take(0), take(0), take(0)]).toEqual([true, true, false])
    expect([take(29_999), take(30_000), take(30_000)]).toEqual([false, true, false])
    expect([take(59_999), take(60_000)]).toEqual([false, true])
  })

  it("never holds more than a burst", () => {
    const { budget } = takeToken(fullBudget(limits, at(0)), limits, at(3_600_000))
    expect(takeToken(budget, limits, at(3_600_000)).taken).toBe(true)
    const third = takeToken(takeToken(budget, limits, at(3_600_000)).budget, limits, at(3_600_000))
    expect(third.taken).toBe(false)
  })

  it("says when the next token comes", () => {
    const empty = { credit: 0, at: 0 }
    expect(takeToken(empty, limits, at(10_000)).retryAfterMillis).toBe(20_000)
  })

  it("loses nothing to refusals in between", () => {
    let budget = { credit: 0, at: 0 }
    for (let millis = 0.1; millis < 30_000; millis += 0.7) budget = takeToken(budget, limits, at(millis)).budget
    expect(takeToken(budget, limits, at(30_000)).taken).toBe(true)
  })

  it("takes no credit back when the clock stands still", () => {
    expect(takeToken({ credit: 30_000, at: 50 }, limits, at(10)).taken).toBe(true)
  })
})

describe("rescale", () => {
  it("keeps the number of tokens, at most a full bucket of them", () => {
    const one = takeToken(fullBudget(limits, at(0)), limits, at(0)).budget
    const next = { burst: 5, every: 1_000 }
    expect(rescale(one, limits, next)).toEqual({ credit: 1_000, at: 0 })
    expect(rescale(fullBudget(next, at(0)), next, limits)).toEqual({ credit: 60_000, at: 0 })
  })
})

describe("Absences", () => {
  it("knows an absence until its time is over on either clock", () => {
    const absences = new Absences()
    absences.remember("a", at(0), 1_000)
    expect([absences.has("a", at(999)), absences.has("b", at(0))]).toEqual([true, false])
    expect(absences.has("a", { wall: at(1_000).wall, mono: 0 })).toBe(false)
    absences.remember("a", at(0), 1_000)
    expect(absences.has("a", { wall: 0, mono: 1_000 })).toBe(false)
  })

  it("is not extended by looking", () => {
    const absences = new Absences()
    absences.remember("a", at(0), 1_000)
    expect(absences.has("a", at(900))).toBe(true)
    expect(absences.has("a", at(1_000))).toBe(false)
  })

  it("remembers nothing for no time", () => {
    const absences = new Absences()
    absences.remember("a", at(0), 0)
    expect(absences.size).toBe(0)
  })

  it(`holds ${maxAbsences} at most, and lets the oldest go`, () => {
    const absences = new Absences()
    for (let i = 0; i <= maxAbsences; i += 1) absences.remember(`kid-${i}`, at(i), 60_000)
    expect(absences.size).toBe(maxAbsences)
    expect([absences.has("kid-0", at(0)), absences.has("kid-1", at(0))]).toEqual([false, true])
  })

  it("forgets everything at once", () => {
    const absences = new Absences()
    absences.remember("a", at(0), 60_000)
    absences.clear()
    expect(absences.has("a", at(0))).toBe(false)
  })
})
