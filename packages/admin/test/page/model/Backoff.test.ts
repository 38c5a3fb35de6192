import { describe, expect, it } from "vitest"
import { reconnectDelay } from "../../../page/model/Backoff.ts"

describe("the wait before the stream is opened again", () => {
  it("doubles up to half a minute", () => {
    expect([1, 2, 3, 7, 50].map((failures) => reconnectDelay(failures, 0))).toEqual([500, 1_000, 2_000, 30_000, 30_000])
  })

  it("differs from page to page, by up to a half", () => {
    expect(reconnectDelay(3, 1)).toBe(1_000)
    expect(reconnectDelay(3, 0.5)).toBe(1_500)
  })
})
