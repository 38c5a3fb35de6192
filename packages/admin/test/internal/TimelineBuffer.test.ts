import { assert, describe, it } from "@effect/vitest"
import type { JwksEvent, JwksEventBody } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { bounds, TimelineBuffer } from "../../src/internal/TimelineBuffer.ts"
import { registered } from "../support/OpenAdmin.ts"

const eventOf = (body: JwksEventBody, provider = "idp", time = 0): JwksEvent => ({
  ...body,
  tenant: "acme",
  provider,
  time,
})

const failed = (count: number, provider = "idp"): JwksEvent =>
  eventOf(
    {
      _tag: "RefreshFailed",
      reason: { _tag: "HttpStatus", url: "https://idp.test/jwks", status: 503 },
      count,
      durationMillis: 1,
      nextAttemptAt: Number.POSITIVE_INFINITY,
    },
    provider,
    count,
  )

const filled = (count: number, firstId = 1): TimelineBuffer => {
  const timeline = new TimelineBuffer(firstId)
  for (let n = 0; n < count; n++) timeline.record(registered(`p${n}`))
  return timeline
}

const ids = (events: ReadonlyArray<{ readonly id: number }>) => events.map(({ id }) => id)

describe("Events", () => {
  it("have ids that rise by one, a level, a line of text and the rest as JSON", () => {
    const timeline = new TimelineBuffer(7)
    timeline.record(failed(1))
    timeline.record(eventOf({ _tag: "UnknownKid", confirmed: false }, "idp", 5))
    assert.deepStrictEqual(timeline.newest(10), [
      {
        id: 8,
        tenant: "acme",
        provider: "idp",
        time: 5,
        tag: "UnknownKid",
        level: "debug",
        text: "somebody asked for a key without kid, which the set lacks; not confirmed by the provider",
        details: { confirmed: false },
      },
      {
        id: 7,
        tenant: "acme",
        provider: "idp",
        time: 1,
        tag: "RefreshFailed",
        level: "warn",
        text: "JWKS refresh failed (1 in a row): https://idp.test/jwks answered with status 503; next attempt at never",
        details: {
          reason: { _tag: "HttpStatus", url: "https://idp.test/jwks", status: 503 },
          count: 1,
          durationMillis: 1,
          nextAttemptAt: null,
        },
      },
    ])
  })

  it("are the last 1,000", () => {
    const timeline = filled(2_500)
    assert.deepStrictEqual([timeline.dropped, timeline.newestId], [1_500, 2_500])
    const events = timeline.newest(5_000)
    assert.deepStrictEqual([events.length, events[0]?.id, events.at(-1)?.id], [1_000, 2_500, 1_501])
  })

  it("are paged from the newest on", () => {
    const timeline = filled(5)
    assert.deepStrictEqual(ids(timeline.newest(2)), [5, 4])
    assert.deepStrictEqual(ids(timeline.newest(2, 4)), [3, 2])
    assert.deepStrictEqual(ids(timeline.newest(2, 1)), [])
    assert.deepStrictEqual(ids(timeline.newest(2, 99)), [5, 4])
    assert.deepStrictEqual(ids(timeline.newest(2, undefined, ({ provider }) => provider === "p1")), [2])
  })

  it.each([
    [0, [11, 12, 13], 0],
    [10, [11, 12, 13], 0],
    [11, [12, 13], 0],
    [13, [], 0],
    // Of another process: this one gave no such id.
    [99, [11, 12, 13], 0],
  ])("after %i are %j, with %i missed", (after, expected, missed) => {
    const found = filled(3, 11).after(after, 10)
    assert.deepStrictEqual([ids(found.items), found.missed], [expected, missed])
  })

  it("that are gone are counted", () => {
    const timeline = filled(1_100)
    assert.strictEqual(timeline.after(40, 10).missed, 60)
    assert.deepStrictEqual(ids(timeline.after(40, 2).items), [101, 102])
    assert.strictEqual(timeline.after(100, 10).missed, 0)
  })
})

describe("Waiting", () => {
  it.effect("ends with the next event, at once where there is one, and with the timeline", () =>
    Effect.gen(function* () {
      const timeline = filled(1)
      yield* timeline.awaitAfter(0)
      const waiting = yield* Effect.forkChild(timeline.awaitAfter(1), { startImmediately: true })
      assert.isUndefined(waiting.pollUnsafe())
      timeline.record(registered("next"))
      yield* Fiber.join(waiting)
      const another = yield* Effect.forkChild(timeline.awaitAfter(2), { startImmediately: true })
      timeline.close()
      yield* Fiber.join(another)
      yield* timeline.awaitAfter(2)
      assert.isTrue(timeline.isClosed)
    }),
  )
})

describe("Failures", () => {
  it("are the last 20 of each provider, newest first", () => {
    const timeline = new TimelineBuffer(1)
    for (let n = 1; n <= 30; n++) timeline.record(failed(n))
    timeline.record(failed(99, "other"))
    const failures = timeline.failuresOf("acme", "idp")
    assert.deepStrictEqual([failures.length, failures[0]?.at, failures.at(-1)?.at], [20, 30, 11])
    assert.lengthOf(timeline.failuresOf("acme", "nobody"), 0)
  })

  it("are those of fetching the keys and of discovery", () => {
    const timeline = new TimelineBuffer(1)
    timeline.record(
      eventOf({ _tag: "RediscoveryFailed", reason: { _tag: "NoPermit", waitedMillis: 5 }, count: 1 }, "idp", 3),
    )
    assert.deepStrictEqual(timeline.failuresOf("acme", "idp"), [
      { at: 3, reason: "NoPermit", message: "no fetch permit became free within 5 ms" },
    ])
  })

  it("go with the provider, and stay when it is registered again", () => {
    const timeline = new TimelineBuffer(1)
    timeline.record(failed(1))
    timeline.record(eventOf({ _tag: "ProviderRegistered", url: "https://idp.test/", replaced: true }))
    assert.lengthOf(timeline.failuresOf("acme", "idp"), 1)
    timeline.record(eventOf({ _tag: "ProviderUnregistered" }))
    assert.lengthOf(timeline.failuresOf("acme", "idp"), 0)
    timeline.record(failed(1))
    // Its unregistration was lost.
    timeline.record(registered("idp"))
    assert.lengthOf(timeline.failuresOf("acme", "idp"), 0)
  })

  it("are kept of 10,000 providers, those that failed last", () => {
    const timeline = new TimelineBuffer(1)
    for (let n = 0; n < bounds.failedProviders; n++) timeline.record(failed(n, `p${n}`))
    timeline.record(failed(1, "p0"))
    timeline.record(failed(1, "one more"))
    assert.lengthOf(timeline.failuresOf("acme", "p0"), 2)
    assert.lengthOf(timeline.failuresOf("acme", "p1"), 0)
    assert.lengthOf(timeline.failuresOf("acme", "p2"), 1)
  })
})
