import { describe, expect, it } from "@effect/vitest"
import * as CacheState from "../../src/cache/CacheState.ts"
import type { Instant } from "../../src/Instant.ts"

const at = (millis: number): Instant => ({ wall: 1_000_000 + millis, mono: millis })

const held = (overrides: Partial<CacheState.HeldSet> = {}): CacheState.HeldSet => ({
  jwks: { keys: [], byKid: new Map(), dropped: [], droppedAt: [], source: [] },
  jwksUrl: "https://idp.test/jwks",
  finalUrl: "https://idp.test/jwks",
  receivedAt: at(0),
  expiresAt: at(100),
  staleUntil: at(1_000),
  refreshAt: at(80),
  fetchedInFullAt: at(0),
  headers: {},
  validators: undefined,
  removed: [],
  ...overrides,
})

const failure = (overrides: Partial<CacheState.Failure> = {}): CacheState.Failure => ({
  reason: { _tag: "HttpStatus", url: "https://idp.test/jwks", status: 503 },
  at: at(90),
  count: 1,
  nextAttemptAt: at(500),
  rememberedUntil: at(500),
  retryAfterUntil: undefined,
  ...overrides,
})

type State = CacheState.CacheState<string>

const states: ReadonlyArray<readonly [string, State]> = [
  ["Empty", CacheState.empty],
  ["Empty with a failure", CacheState.initial(undefined, failure())],
  ["Loading", CacheState.begin<string>(CacheState.empty, "a")],
  ["Ready", CacheState.initial(held(), undefined)],
  ["Ready with a failure", CacheState.initial(held(), failure())],
  ["Refreshing", CacheState.begin<string>(CacheState.initial(held(), undefined), "a")],
]

describe("CacheState", () => {
  describe("begin", () => {
    it("turns Empty into Loading and Ready into Refreshing, and keeps set and failure", () => {
      const loading = CacheState.begin<string>(CacheState.initial(undefined, failure()), "a")
      expect(loading).toMatchObject({ _tag: "Loading", flight: "a", failure: failure() })
      const set = held()
      const refreshing = CacheState.begin<string>(CacheState.initial(set, failure()), "a")
      expect(refreshing).toMatchObject({ _tag: "Refreshing", flight: "a", failure: failure() })
      expect(CacheState.heldOf(refreshing)).toBe(set)
    })

    it("leaves a flight that is under way alone", () => {
      for (const [, state] of states.filter(([, state]) => CacheState.flightOf(state) !== undefined)) {
        expect(CacheState.begin(state, "b")).toBe(state)
      }
    })
  })

  describe("the end of a flight that is not the current one", () => {
    it.each(states)("changes nothing in %s", (_, state) => {
      expect(CacheState.succeed(state, "late", held(), true)).toBe(state)
      expect(CacheState.fail(state, "late", failure())).toBe(state)
      expect(CacheState.abandon(state, "late", at(5))).toBe(state)
    })
  })

  it("replaces the held set whole on success and forgets the failure", () => {
    const next = held({ receivedAt: at(50) })
    const state = CacheState.begin<string>(CacheState.initial(held(), failure()), "a")
    expect(CacheState.succeed(state, "a", next, true)).toEqual({
      _tag: "Ready",
      held: next,
      failure: undefined,
      pausedUntil: undefined,
    })
  })

  it("keeps nothing of a set that may not be stored", () => {
    const state = CacheState.begin<string>(CacheState.initial(held(), undefined), "a")
    expect(CacheState.succeed(state, "a", held(), false)).toEqual(CacheState.empty)
  })

  it("never loses a good set to a failure", () => {
    const set = held()
    const state = CacheState.begin<string>(CacheState.initial(set, undefined), "a")
    const failed = CacheState.fail(state, "a", failure())
    expect(failed).toMatchObject({ _tag: "Ready", failure: failure() })
    expect(CacheState.heldOf(failed)).toBe(set)
    expect(CacheState.fail(CacheState.begin<string>(CacheState.empty, "a"), "a", failure())).toMatchObject({
      _tag: "Empty",
      failure: failure(),
    })
  })

  it("blames nobody for a flight that got no permit, but pauses", () => {
    const state = CacheState.begin<string>(CacheState.initial(held(), failure()), "a")
    const abandoned = CacheState.abandon(state, "a", at(700))
    expect(abandoned).toMatchObject({ _tag: "Ready", failure: failure(), pausedUntil: at(700) })
    expect(CacheState.nextFlightAt(abandoned)).toEqual(at(700))
    expect(CacheState.begin<string>(abandoned, "b").pausedUntil).toBeUndefined()
  })

  describe("usability", () => {
    const healthy = CacheState.initial(held(), undefined)
    const failing = CacheState.initial(held(), failure())

    it("is Fresh until the lifetime ends", () => {
      expect(CacheState.usability(healthy, at(99), false)).toBe("Fresh")
      expect(CacheState.usability(healthy, at(100), false)).toBe("Expired")
    })

    it("is Stale past the lifetime where refreshing is known to fail, or the flight was released", () => {
      expect(CacheState.usability(failing, at(100), false)).toBe("Stale")
      expect(CacheState.usability(healthy, at(100), true)).toBe("Stale")
    })

    it("is Unusable from the end of the stale window on, and without a set", () => {
      expect(CacheState.usability(failing, at(999), false)).toBe("Stale")
      expect(CacheState.usability(failing, at(1_000), false)).toBe("Unusable")
      expect(CacheState.usability(CacheState.empty, at(0), true)).toBe("Unusable")
    })

    it("ends at whichever clock comes first", () => {
      expect(CacheState.usability(healthy, { wall: at(100).wall, mono: 0 }, false)).toBe("Expired")
      expect(CacheState.usability(healthy, { wall: 0, mono: 100 }, false)).toBe("Expired")
    })
  })

  describe("nextFlightAt", () => {
    it("is the refresh point of a healthy set, and the next attempt of a failing one", () => {
      expect(CacheState.nextFlightAt(CacheState.initial(held(), undefined))).toEqual(at(80))
      expect(CacheState.nextFlightAt(CacheState.initial(held(), failure()))).toEqual(at(500))
      expect(CacheState.nextFlightAt(CacheState.initial(undefined, failure()))).toEqual(at(500))
    })

    it("is never while a flight is under way, nor where nobody has asked yet", () => {
      expect(CacheState.nextFlightAt(CacheState.begin<string>(CacheState.empty, "a"))).toBeUndefined()
      expect(CacheState.nextFlightAt(CacheState.empty)).toBeUndefined()
    })
  })

  describe("nextChangeAt", () => {
    it("is the first of refresh, expiry and the end of the stale window that is still to come", () => {
      const state = CacheState.initial(held(), undefined)
      expect(CacheState.nextChangeAt(state, at(0), undefined, true)).toEqual(at(80))
      expect(CacheState.nextChangeAt(state, at(0), undefined, false)).toEqual(at(100))
      expect(CacheState.nextChangeAt(state, at(100), undefined, false)).toEqual(at(1_000))
      expect(CacheState.nextChangeAt(state, at(1_000), undefined, false)).toBeUndefined()
    })

    it("is the moment at which a flight over an expired set lets stale answers go", () => {
      const state = CacheState.begin<string>(CacheState.initial(held({ staleUntil: at(9_000) }), undefined), "a")
      expect(CacheState.nextChangeAt(state, at(150), at(150), true)).toEqual(at(150 + CacheState.staleReleaseMillis))
      expect(CacheState.nextChangeAt(state, at(150), undefined, true)).toEqual(at(9_000))
    })
  })
})
