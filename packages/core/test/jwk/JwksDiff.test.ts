import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { diff } from "../../src/jwk/JwksDiff.ts"
import { judge } from "../../src/jwk/KeyPolicy.ts"
import { defaultSettings } from "../../src/Provider.ts"
import { ed25519, keptKey, p256, p384, rsa } from "./sampleKeys.ts"

const keys = { A: rsa, B: p256, C: p384, D: ed25519 }
type Name = keyof typeof keys

/** A set of such pairs of kid and key. */
const setOf = (...pairs: ReadonlyArray<readonly [string | undefined, Name]>) =>
  judge(
    pairs.map(([kid, name]) => ({ ...keys[name], kid })),
    defaultSettings,
  )

const thumbprint = (name: Name) => keptKey(keys[name]).thumbprint
const [A, B, C, D] = [thumbprint("A"), thumbprint("B"), thumbprint("C"), thumbprint("D")]

describe("diff", () => {
  it("finds everything added where there was no set", () => {
    expect(diff(undefined, setOf(["1", "A"], ["2", "B"]))).toEqual({ added: [A, B], removed: [], changed: [] })
  })

  it("finds nothing between equal sets, in any order", () => {
    const nothing = { added: [], removed: [], changed: [] }
    expect(diff(setOf(["1", "A"], ["2", "B"]), setOf(["2", "B"], ["1", "A"]))).toEqual(nothing)
  })

  it("finds what was added and removed, in document order", () => {
    expect(diff(setOf(["1", "A"], ["2", "B"]), setOf(["4", "D"], ["2", "B"], ["3", "C"]))).toEqual({
      added: [D, C],
      removed: [A],
      changed: [],
    })
  })

  it("reports a kid that names another key as changed, and only as that", () => {
    expect(diff(setOf(["1", "A"], ["2", "B"]), setOf(["1", "C"], ["2", "B"]))).toEqual({
      added: [],
      removed: [],
      changed: [{ kid: "1", from: A, to: C }],
    })
  })

  it("reports two kids that swapped their keys as changed", () => {
    expect(diff(setOf(["1", "A"], ["2", "B"]), setOf(["1", "B"], ["2", "A"]))).toEqual({
      added: [],
      removed: [],
      changed: [
        { kid: "1", from: A, to: B },
        { kid: "2", from: B, to: A },
      ],
    })
  })

  it("does not call it changed where a kid named several keys before or after", () => {
    expect(diff(setOf(["1", "A"], ["1", "B"]), setOf(["1", "C"]))).toEqual({ added: [C], removed: [A, B], changed: [] })
    expect(diff(setOf(["1", "A"]), setOf(["1", "B"], ["1", "C"]))).toEqual({ added: [B, C], removed: [A], changed: [] })
  })

  it("does not call it changed where keys have no kid", () => {
    expect(diff(setOf([undefined, "A"]), setOf([undefined, "B"]))).toEqual({ added: [B], removed: [A], changed: [] })
  })

  it("counts a key under several kids once, and one that moved to another kid not at all", () => {
    expect(diff(setOf(["1", "A"]), setOf(["2", "A"], ["3", "B"], ["4", "B"]))).toEqual({
      added: [B],
      removed: [],
      changed: [],
    })
  })

  const pair = Arbitrary.schema(Schema.Tuple([Schema.Literals(["1", "2", "3"]), Schema.Literals(["A", "B", "C", "D"])]))
  const sets = Arbitrary.array(pair, { maxLength: 6 })

  it.prop("explains every difference, and none that is not there", [sets, sets], ([before, after]) => {
    const [old, next] = [setOf(...before), setOf(...after)]
    const { added, changed, removed } = diff(old, next)
    const [former, current] = [old, next].map(({ keys }) => new Set(keys.map((key) => key.thumbprint)))
    const gone = new Set([...removed, ...changed.map(({ from }) => from)])
    const come = new Set([...added, ...changed.map(({ to }) => to)])
    for (const key of [A, B, C, D]) {
      if (former?.has(key) && !current?.has(key)) expect(gone).toContain(key)
      if (!former?.has(key) && current?.has(key)) expect(come).toContain(key)
      if (gone.has(key)) expect(former).toContain(key)
      if (come.has(key)) expect(current).toContain(key)
    }
    expect(new Set([...added, ...removed]).size).toBe(added.length + removed.length)
  })
})
