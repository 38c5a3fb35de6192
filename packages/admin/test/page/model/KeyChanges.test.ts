import { describe, expect, it } from "vitest"
import { keyChanges } from "../../../page/model/KeyChanges.ts"

describe("key changes", () => {
  it("tell a key that changed under its kid first, and once", () => {
    const changes = keyChanges("KeysChanged", {
      added: ["new", "other"],
      removed: ["old", "gone"],
      changed: [{ kid: "signing", from: "old", to: "new" }],
      kids: { other: "next", gone: "last" },
    })
    expect(changes).toMatchObject([
      { kind: "changed", kid: "signing", previous: "old", thumbprint: "new" },
      { kind: "added", kid: "next", thumbprint: "other" },
      { kind: "removed", kid: "last", thumbprint: "gone" },
    ])
    expect(changes).toHaveLength(3)
  })

  it("do without kids", () => {
    expect(keyChanges("KeysChanged", { added: ["a"], removed: [] })).toMatchObject([
      { kind: "added", kid: undefined, thumbprint: "a" },
    ])
  })

  it("tell why a key was dropped", () => {
    expect(keyChanges("KeyDropped", { reason: "PrivateKey" })).toMatchObject([
      { kind: "dropped", kid: undefined, reason: "PrivateKey" },
    ])
  })

  it("are none in other events", () => {
    expect(keyChanges("RefreshSucceeded", { keys: 3 })).toEqual([])
  })
})
