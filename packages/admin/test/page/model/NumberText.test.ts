import { describe, expect, it } from "vitest"
import { countText, pluralText, ratioText } from "../../../page/model/NumberText.ts"

describe("numbers", () => {
  it("are grouped by thousands", () => {
    expect(countText(999)).toBe("999")
    expect(countText(10_000)).toBe("10\u202f000")
    expect(countText(1_234_567)).toBe("1\u202f234\u202f567")
    expect(pluralText(1, "key")).toBe("1 key")
    expect(pluralText(0, "key")).toBe("0 keys")
  })

  it("never round a miss away, nor a hit", () => {
    expect(ratioText(0, 0)).toBe("-")
    expect(ratioText(0, 9)).toBe("0 %")
    expect(ratioText(9, 9)).toBe("100 %")
    expect(ratioText(999_999, 1_000_000)).toBe("99.9 %")
    expect(ratioText(1, 1_000_000)).toBe("0.1 %")
    expect(ratioText(2, 3)).toBe("66.7 %")
  })
})
