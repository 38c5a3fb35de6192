import { describe, expect, it } from "vitest"
import { freshnessBar, freshnessSentence, freshnessText } from "../../../page/model/FreshnessBar.ts"

const times = { fetchedAt: 0, nextRefreshAt: 480_000, expiresAt: 600_000, staleUntil: 4_200_000 }

describe("the freshness bar", () => {
  it("is absent where no set is held", () => {
    expect(freshnessBar({}, 0)).toBeUndefined()
    expect(freshnessText({}, 0)).toBe("no set held")
    expect(freshnessSentence({}, 0)).toBe("No set held")
  })

  it("gives the lifetime its share, however long the stale window is", () => {
    const short = freshnessBar(times, 300_000)
    const long = freshnessBar({ ...times, staleUntil: 90_000_000 }, 300_000)
    expect(short).toEqual(long)
    expect(short).toMatchObject({ expiry: 62, now: 31, refresh: 62 * 0.8, phase: "fresh", hasStaleWindow: true })
  })

  it("moves now forward only, and never off the bar", () => {
    const places = [-9, 0, 300_000, 599_999, 600_000, 2_400_000, 4_200_000, 9_000_000].map(
      (now) => freshnessBar(times, now)?.now ?? -1,
    )
    expect(places).toEqual(places.toSorted((one, other) => one - other))
    expect(places.at(0)).toBe(0)
    expect(places.at(-1)).toBe(100)
  })

  it("knows each phase by its first moment", () => {
    expect([599_999, 600_000, 4_199_999, 4_200_000].map((now) => freshnessBar(times, now)?.phase)).toEqual([
      "fresh",
      "stale",
      "stale",
      "ended",
    ])
  })

  it("is all lifetime where there is no stale window", () => {
    const { staleUntil: _, ...without } = times
    expect(freshnessBar(without, 300_000)).toMatchObject({ expiry: 100, now: 50, hasStaleWindow: false })
    expect(freshnessBar(without, 700_000)).toMatchObject({ now: 100, phase: "ended" })
  })

  it("places a retry behind the expiry too", () => {
    expect(freshnessBar({ ...times, nextRefreshAt: 2_400_000 }, 700_000)?.refresh).toBe(81)
  })

  it("says in words what it shows", () => {
    expect(freshnessText(times, 300_000)).toBe("fresh for 5 min")
    expect(freshnessText(times, 660_000)).toBe("stale, 59 min left")
    expect(freshnessText(times, 4_260_000)).toBe("ended 1 min ago")
    expect(freshnessSentence(times, 300_000)).toBe(
      "Fetched 5 min ago, refresh due in 3 min, expires in 5 min, stale limit in 1 h 5 min",
    )
    expect(freshnessSentence(times, 4_260_000)).toBe(
      "Fetched 1 h 11 min ago, refresh was due 1 h 3 min ago, expired 1 h 1 min ago, stale limit passed 1 min ago",
    )
  })
})
