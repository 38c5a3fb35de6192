/**
 * The event stream as a client reads it.
 */
import { assert, describe, it } from "@effect/vitest"
import type { TimelineEvent, TimelinePage } from "@effect-jwks/admin"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { openAdmin, openAdminOn, ownMetrics, registered, settle, toldRegistry } from "./support/OpenAdmin.ts"

/** What the stream has sent, frame by frame; reads no more than it is asked for. */
const readerOf = (response: Response) => {
  assert.deepStrictEqual([response.status, response.headers.get("content-type")], [200, "text/event-stream"])
  const reader = response.body?.getReader() ?? assert.fail("no body")
  const decoder = new TextDecoder()
  let text = ""
  const read = Effect.promise(async () => {
    const { done, value } = await reader.read()
    if (!done) text += decoder.decode(value, { stream: true })
    return !done
  })
  /** The next frame without its last line feeds; `undefined` at the end of the stream. */
  const frame: Effect.Effect<string | undefined> = Effect.suspend(() => {
    const end = text.indexOf("\n\n")
    if (end < 0) return Effect.flatMap(read, (more) => (more ? frame : Effect.succeed(undefined)))
    const first = text.slice(0, end)
    text = text.slice(end + 2)
    return Effect.succeed(first)
  })
  const event = Effect.map(frame, (frame) => {
    const [, id, data] = /^id: (\d+)\nevent: jwks\ndata: (.*)$/.exec(frame ?? "") ?? assert.fail(`no event: ${frame}`)
    const parsed = JSON.parse(data ?? "") as TimelineEvent
    assert.strictEqual(parsed.id, Number(id))
    return parsed
  })
  return { frame, event, cancel: Effect.promise(() => reader.cancel()) }
}

const openStream = Effect.fnUntraced(function* (told = 0) {
  const { registry, tell } = yield* toldRegistry()
  const admin = yield* openAdminOn(registry)
  yield* tell(...Array.from({ length: told }, (_, n) => registered(`p${n + 1}`)))
  const subscribe = (query = "", headers: Readonly<Record<string, string>> = {}) =>
    Effect.map(admin.ask(`/api/events/stream${query}`, { headers }), readerOf)
  return { ...admin, tell, subscribe }
})

describe("The event stream", () => {
  it.effect("begins at once, and sends what happens from then on", () =>
    Effect.gen(function* () {
      const { subscribe, tell } = yield* openStream(3)
      const { event, frame } = yield* subscribe()
      assert.strictEqual(yield* frame, ": connected")
      yield* tell(registered("new", 77), registered("newer"))
      assert.deepInclude(yield* event, { id: 4, provider: "new", time: 77, tag: "ProviderRegistered", level: "debug" })
      assert.deepInclude(yield* event, { id: 5, provider: "newer" })
    }),
  )

  it.effect("tells of a registry at work", () =>
    Effect.gen(function* () {
      const { ask, idp, register } = yield* openAdmin()
      const { event, frame } = readerOf(yield* ask("/api/events/stream"))
      yield* frame
      yield* register("idp")
      const first = yield* event
      assert.deepInclude(first, { tag: "ProviderRegistered", details: { url: idp.jwksUrl, replaced: false } })
      const tags = [(yield* event).tag, (yield* event).tag]
      assert.include(tags, "RefreshSucceeded")
      assert.include(tags, "KeysChanged")
    }).pipe(ownMetrics),
  )

  it.effect.each<[string, Readonly<Record<string, string>>]>([
    ["?after=1", {}],
    ["", { "last-event-id": "1" }],
    ["?after=2", { "last-event-id": "1" }],
    ["?after=1", { "last-event-id": "not ours" }],
  ])("resumes: %s %j", ([query, headers]) =>
    Effect.gen(function* () {
      const { subscribe, tell } = yield* openStream(3)
      const { event, frame } = yield* subscribe(query, headers)
      yield* frame
      assert.deepStrictEqual([(yield* event).id, (yield* event).id], [2, 3])
      yield* tell(registered("p4"))
      assert.strictEqual((yield* event).id, 4)
    }),
  )

  it.effect("resumes from the start of the buffer for an id that was never given", () =>
    Effect.gen(function* () {
      const { subscribe } = yield* openStream(2)
      const { event, frame } = yield* subscribe("?after=1795257394764001")
      yield* frame
      assert.strictEqual((yield* event).id, 1)
    }),
  )

  it.effect("says how much is gone where the buffer does not reach back", () =>
    Effect.gen(function* () {
      const { json, subscribe } = yield* openStream(1_200)
      const { event, frame } = yield* subscribe("?after=50")
      yield* frame
      assert.strictEqual(yield* frame, 'event: dropped\ndata: {"dropped":150}')
      assert.strictEqual((yield* event).id, 201)
      const page = yield* json<TimelinePage>("/api/events?limit=2")
      assert.strictEqual(page.dropped, 200)
      assert.deepStrictEqual(
        page.items.map(({ id }) => id),
        [1_200, 1_199],
      )
    }),
  )

  it.effect("costs a slow subscriber events, counted, and the registry nothing", () =>
    Effect.gen(function* () {
      const { subscribe, tell } = yield* openStream()
      const slow = yield* subscribe()
      const total = 5_000
      // All of it is taken in while nobody reads.
      yield* tell(...Array.from({ length: total }, (_, n) => registered(`p${n}`)))
      const other = yield* subscribe("?after=4999")
      yield* other.frame
      assert.strictEqual((yield* other.event).id, total)
      let [dropped, last, received] = [0, 0, 0]
      while (last < total) {
        const frame = (yield* slow.frame) ?? assert.fail("ended")
        const missed = /^event: dropped\ndata: \{"dropped":(\d+)\}$/.exec(frame)?.[1]
        const id = /^id: (\d+)\n/.exec(frame)?.[1]
        if (missed !== undefined) dropped += Number(missed)
        else if (id !== undefined) {
          received += 1
          assert.isAbove(Number(id), last)
          last = Number(id)
        }
      }
      assert.strictEqual(received + dropped, total)
      assert.isAbove(dropped, 0)
    }),
  )

  it.effect("says something every 15 seconds", () =>
    Effect.gen(function* () {
      const { subscribe, tell } = yield* openStream()
      const { event, frame } = yield* subscribe()
      yield* frame
      for (let n = 0; n < 3; n++) {
        yield* settle
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual(yield* frame, ": keep-alive")
      }
      yield* settle
      yield* TestClock.adjust("14 seconds")
      yield* tell(registered("p1"))
      assert.strictEqual((yield* event).id, 1)
    }),
  )

  it.effect("ends with the layer", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { subscribe, tell } = yield* Scope.provide(openStream(), scope)
      const { event, frame } = yield* subscribe()
      yield* frame
      yield* tell(registered("p1"))
      assert.strictEqual((yield* event).id, 1)
      yield* Scope.close(scope, Exit.void)
      assert.isUndefined(yield* frame)
    }),
  )

  it.effect("goes on for others when a client goes", () =>
    Effect.gen(function* () {
      const { subscribe, tell } = yield* openStream()
      const [one, other] = [yield* subscribe(), yield* subscribe()]
      yield* one.frame
      yield* other.frame
      yield* one.cancel
      yield* tell(registered("p1"))
      assert.strictEqual((yield* other.event).id, 1)
    }),
  )
})

describe("The list of events", () => {
  it.effect("is paged by id, newest first", () =>
    Effect.gen(function* () {
      const { ask, json } = yield* openStream(5)
      const idsOf = (query: string) =>
        Effect.map(json<TimelinePage>(`/api/events${query}`), ({ items }) => items.map(({ id }) => id))
      assert.deepStrictEqual(yield* idsOf(""), [5, 4, 3, 2, 1])
      assert.deepStrictEqual(yield* idsOf("?limit=2"), [5, 4])
      assert.deepStrictEqual(yield* idsOf("?limit=2&before=4"), [3, 2])
      assert.strictEqual((yield* ask("/api/events?limit=1001")).status, 400)
      assert.strictEqual((yield* ask("/api/events?before=-1")).status, 400)
    }),
  )
})
