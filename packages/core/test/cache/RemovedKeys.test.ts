import { describe, expect, it } from "@effect/vitest"
import type { HeldSet } from "../../src/cache/CacheState.ts"
import { findRemoved, removedKeys } from "../../src/cache/RemovedKeys.ts"
import type { Instant } from "../../src/Instant.ts"
import type { DroppedKey, ParsedJwks, UsableKey } from "../../src/jwk/Jwks.ts"

const at = (millis: number): Instant => ({ wall: 1_000_000 + millis, mono: millis })

const key = (kid: string | undefined, thumbprint = `tp-${kid}`): UsableKey => ({
  kid,
  thumbprint,
  jwk: { kty: "EC" },
  algorithms: ["ES256"],
})

const set = (keys: ReadonlyArray<UsableKey>, dropped: ReadonlyArray<DroppedKey> = []): ParsedJwks => ({
  keys,
  dropped,
  droppedAt: [],
  byKid: new Map(),
  source: [],
})

const held = (jwks: ParsedJwks, removed: HeldSet["removed"] = []): HeldSet => ({
  jwks,
  jwksUrl: "https://idp.test/jwks",
  finalUrl: "https://idp.test/jwks",
  receivedAt: at(0),
  expiresAt: at(60_000),
  staleUntil: at(100_000),
  refreshAt: undefined,
  fetchedInFullAt: at(0),
  headers: {},
  validators: undefined,
  removed,
})

const query = (kid: string, more: { alg?: string; notThumbprint?: string } = {}) => ({
  kid,
  alg: more.alg,
  notThumbprint: more.notThumbprint,
})

describe("removedKeys", () => {
  it("keeps what vanished for the grace", () => {
    const removed = removedKeys(held(set([key("a"), key("b")])), set([key("b")]), 10_000, at(5_000))
    expect(removed).toEqual([
      { key: key("a"), until: at(15_000), removedAt: at(5_000), fetchedAt: at(0).wall, expiresAt: at(60_000).wall },
    ])
  })

  it("keeps nothing without a grace, without a set before, and of keys without a kid", () => {
    expect(removedKeys(held(set([key("a")])), set([key("b")]), 0, at(0))).toEqual([])
    expect(removedKeys(undefined, set([key("b")]), 10_000, at(0))).toEqual([])
    expect(removedKeys(held(set([key(undefined)])), set([key("b")]), 10_000, at(0))).toEqual([])
  })

  it("never outlives the stale window of the set that held the key", () => {
    const [removed] = removedKeys(held(set([key("a")])), set([]), 1_000_000, at(5_000))
    expect(removed?.until).toEqual(at(100_000))
  })

  it("carries earlier removals over with their own end, and drops those that are over", () => {
    const [first] = removedKeys(held(set([key("a")])), set([key("b")]), 10_000, at(0))
    if (first === undefined) throw new Error("nothing removed")
    const later = removedKeys(held(set([key("b")]), [first]), set([]), 50_000, at(5_000))
    expect(later.map(({ key, until }) => [key.kid, until.mono])).toEqual([
      ["b", 55_000],
      ["a", 10_000],
    ])
    expect(removedKeys(held(set([]), [first]), set([]), 50_000, at(10_000))).toEqual([])
  })

  it("ends the grace of a kid that the document names again, usable or not", () => {
    expect(removedKeys(held(set([key("a")])), set([key("a", "other")]), 10_000, at(0))).toEqual([])
    const dropped = set([], [{ kid: "a", reason: "NotForSignatures" }])
    expect(removedKeys(held(set([key("a")])), dropped, 10_000, at(0))).toEqual([])
  })
})

describe("findRemoved", () => {
  const removed = removedKeys(held(set([key("a"), key("b", "b1"), key("b", "b2")])), set([]), 10_000, at(0))

  it("finds by kid and algorithm until the grace ends", () => {
    expect(findRemoved(removed, query("a"), at(9_999))?.key.kid).toBe("a")
    expect(findRemoved(removed, query("a", { alg: "RS256" }), at(0))).toBeUndefined()
    expect(findRemoved(removed, query("a"), at(10_000))).toBeUndefined()
  })

  it("answers nothing where different keys fit, and honours notThumbprint", () => {
    expect(findRemoved(removed, query("b"), at(0))).toBeUndefined()
    expect(findRemoved(removed, query("b", { notThumbprint: "b1" }), at(0))?.key.thumbprint).toBe("b2")
    expect(findRemoved(removed, query("a", { notThumbprint: "tp-a" }), at(0))).toBeUndefined()
  })
})
