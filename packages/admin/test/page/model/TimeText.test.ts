import { describe, expect, it } from "vitest"
import { clockText, dayText, lengthText, momentText, relativeText } from "../../../page/model/TimeText.ts"

describe("a length of time", () => {
  it.each([
    [-5_000, "0 s"],
    [999, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 min"],
    [185_000, "3 min 5 s"],
    [600_000, "10 min"],
    [659_000, "10 min"],
    [3_600_000, "1 h"],
    [7_800_000, "2 h 10 min"],
    [86_400_000, "1 d"],
    [367_200_000, "4 d 6 h"],
  ])("of %d ms reads %j", (millis, text) => {
    expect(lengthText(millis)).toBe(text)
  })
})

describe("a moment", () => {
  it("is ahead, past, or now within a second", () => {
    expect(relativeText(65_000, 0)).toBe("in 1 min 5 s")
    expect(relativeText(0, 65_000)).toBe("1 min 5 s ago")
    expect(relativeText(999, 0)).toBe("now")
    expect(relativeText(0, 999)).toBe("now")
  })

  it("tells the day unless it is today's", () => {
    const noon = new Date(2026, 10, 21, 12, 4, 9).getTime()
    expect(clockText(noon)).toBe("12:04:09")
    expect(dayText(noon)).toBe("2026-11-21")
    expect(momentText(noon, noon + 3_600_000)).toBe("12:04:09")
    expect(momentText(noon, noon + 86_400_000)).toBe("2026-11-21 12:04:09")
  })
})
