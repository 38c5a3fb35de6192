import { describe, expect, it } from "vitest"
import { eventLimit, hasRestarted, isShown, mergeEvents } from "../../../page/model/EventLog.ts"
import type { TimelineEvent } from "../../../page/model/Wire.ts"

const event = (id: number, members: Partial<TimelineEvent> = {}): TimelineEvent => ({
  id,
  tenant: "acme",
  provider: "okta",
  time: id * 1_000,
  tag: "RefreshSucceeded",
  level: "info",
  text: "2 keys",
  details: {},
  ...members,
})

describe("events from buffer and stream", () => {
  it("are held once each, newest first", () => {
    const merged = mergeEvents([event(3), event(2)], [event(4), event(3), event(1)])
    expect(merged.map(({ id }) => id)).toEqual([4, 3, 2, 1])
  })

  it("are no more than the page can carry", () => {
    const many = Array.from({ length: eventLimit + 5 }, (_, index) => event(index + 1))
    const merged = mergeEvents([], many)
    expect(merged).toHaveLength(eventLimit)
    expect(merged[0]?.id).toBe(eventLimit + 5)
  })

  it("show a server that counts anew", () => {
    const known = [event(9), event(8)]
    expect(hasRestarted(known, [event(9), event(8)], true)).toBe(false)
    expect(hasRestarted(known, [event(10)], false)).toBe(false)
    expect(hasRestarted(known, [event(8, { time: 99 })], false)).toBe(true)
    expect(hasRestarted(known, [event(2, { time: 99 }), event(1)], true)).toBe(true)
    expect(hasRestarted(known, [], true)).toBe(true)
    // An older page of the same buffer.
    expect(hasRestarted(known, [event(2), event(1)], false)).toBe(false)
    expect(hasRestarted([], [event(1)], true)).toBe(false)
  })
})

describe("the timeline's filter", () => {
  const change = event(1, { tag: "KeysChanged" })
  const trouble = event(2, { tag: "RefreshFailed", level: "warn", text: "status 503" })

  it("knows key changes and problems", () => {
    expect([change, trouble].filter((each) => isShown(each, "keys", ""))).toEqual([change])
    expect([change, trouble].filter((each) => isShown(each, "problems", ""))).toEqual([trouble])
    expect([change, trouble].filter((each) => isShown(each, "all", ""))).toEqual([change, trouble])
  })

  it("finds by tenant and provider, tag and text", () => {
    for (const search of ["acme/okta", "refreshfailed", "503"]) expect(isShown(trouble, "all", search)).toBe(true)
    expect(isShown(trouble, "all", "globex")).toBe(false)
  })
})
