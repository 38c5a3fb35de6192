import { describe, expect, it } from "vitest"
import { pagesOf, pageSize, rowWindow } from "../../../page/model/RowWindow.ts"

describe("the window of rows", () => {
  it("holds what is in view and some around it", () => {
    expect(rowWindow(0, 900, 45, 10_000)).toEqual({ from: 0, to: 28 })
    expect(rowWindow(45_000, 900, 45, 10_000)).toEqual({ from: 992, to: 1_028 })
  })

  it("stays inside the list", () => {
    expect(rowWindow(449_100, 900, 45, 10_000)).toEqual({ from: 9_972, to: 10_000 })
    expect(rowWindow(-900, 900, 45, 3)).toEqual({ from: 0, to: 3 })
    expect(rowWindow(0, 900, 45, 0)).toEqual({ from: 0, to: 0 })
    expect(rowWindow(900_000, 900, 45, 12)).toEqual({ from: 12, to: 12 })
    expect(rowWindow(0, 900, 0, 12)).toEqual({ from: 0, to: 0 })
  })

  it("is covered by whole pages", () => {
    expect(pagesOf({ from: 0, to: pageSize })).toEqual([0])
    expect(pagesOf({ from: pageSize - 1, to: pageSize + 1 })).toEqual([0, 1])
    expect(pagesOf({ from: 5, to: 5 })).toEqual([])
  })
})
