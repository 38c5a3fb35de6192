import { describe, expect, it } from "@effect/vitest"
import { freezeJson } from "../../src/jwk/FrozenJson.ts"

describe("freezeJson", () => {
  it("freezes objects and lists through and through", () => {
    const value = freezeJson({ a: [{ b: { c: [1, [2]] } }], d: null, e: "text" })
    expect(Object.isFrozen(value)).toBe(true)
    expect(Object.isFrozen(value.a)).toBe(true)
    expect(Object.isFrozen(value.a[0])).toBe(true)
    expect(Object.isFrozen(value.a[0]?.b.c)).toBe(true)
    expect(Object.isFrozen(value.a[0]?.b.c[1])).toBe(true)
  })

  it("freezes 200,000 levels without overflowing the stack", () => {
    let value: Array<unknown> = []
    const innermost = value
    for (let i = 0; i < 200_000; i++) value = [value]
    freezeJson(value)
    expect(Object.isFrozen(innermost)).toBe(true)
  })

  it("ends on a cycle", () => {
    const value: Record<string, unknown> = {}
    value["self"] = value
    expect(Object.isFrozen(freezeJson(value))).toBe(true)
  })
})
