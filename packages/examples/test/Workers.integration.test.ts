/**
 * What a Worker has to get right besides: requests that must not touch one another's I/O, work after the response, and
 * a start from what the platform keeps.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect, it } from "vitest"
import { takeSnapshots } from "../70_runtimes/deploy.ts"
import { KvNamespace } from "./support/KvNamespace.ts"
import { bundleWorker, type Served, startWorkerd, type WorkerOptions } from "./support/Runtimes.ts"
import { crowd, knock, makeScene, running, type SceneOptions, tally } from "./support/Visitors.ts"

const scene = Effect.fnUntraced(function* (how?: SceneOptions, first?: WorkerOptions) {
  const made = yield* makeScene(how)
  const open = (worker?: WorkerOptions) => running(() => startWorkerd(made.given, worker))
  return { ...made, open, door: yield* open(first) }
})

const entries = ["worker.ts", "bridge_worker.ts"] as const

const many = <A>(count: number, item: A): ReadonlyArray<A> => Array.from({ length: count }, () => item)

/** What workerd says of requests that wait for others, and of anything that nobody caught. */
const complaints = ({ program }: Served): ReadonlyArray<string> =>
  program
    .output()
    .split("\n")
    .filter((line) => /different request|never generate a response|hung|uncaught|exception| ERROR /i.test(line))

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkScoped(effect, { startImmediately: true })

describe("the bundle of a Worker", () => {
  it("imports nothing, least of all from Node", async () => {
    for (const entry of entries) expect((await bundleWorker({ entry })).imports).toEqual([])
  })
})

describe("requests to one isolate", () => {
  it.each(entries)("have one of them fetch: the others neither ask nor wait for its I/O (%s)", (entry) =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene({}, { entry })
      yield* idp.faults.hold
      const asked = yield* fork(crowd(door, many(50, yield* token())))
      yield* idp.faults.awaitHeld(1)
      yield* idp.faults.release()
      expect(tally(yield* Fiber.join(asked))).toEqual({ 200: 50 })
      expect(idp.requests).toBe(1)
      expect(complaints(door)).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise),
  )

  it("are all answered while the provider hangs", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene({
        registration: { retryPolicy: { maxRetries: 0, attemptTimeout: "500 millis" } },
      })
      yield* idp.faults.hang()
      const good = yield* token()
      expect(tally(yield* crowd(door, many(50, good)))).toEqual({ 503: 50 })
      expect(idp.requests).toBe(1)
      expect(complaints(door)).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise))

  it("go on when the client of the one that fetches has left", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene()
      const good = yield* token()
      yield* idp.faults.holdNext(1)
      const leaving = new AbortController()
      const left = yield* fork(Effect.exit(Effect.sandbox(knock(door, good, leaving.signal))))
      yield* idp.faults.awaitHeld(1)
      const asked = yield* fork(crowd(door, many(20, good)))
      leaving.abort()
      yield* Fiber.await(left)
      yield* idp.faults.release()
      expect(tally(yield* Fiber.join(asked))).toEqual({ 200: 20 })
      expect(complaints(door)).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise))

  it("share the budget: 200 made-up kids at once are two requests, and 401 for all", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene()
      yield* knock(door, yield* token())
      const flood = yield* Effect.forEach(many(200, "made-up"), (name, n) => token(`${name}-${n}`))
      const told = tally(yield* crowd(door, flood))
      expect(idp.requests).toBeLessThanOrEqual(3)
      expect(told[200]).toBeUndefined()
      expect((told[401] ?? 0) + (told[503] ?? 0)).toBe(200)
      expect(complaints(door)).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise))

  it("are answered after a rotation, however many come at once", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene()
      yield* knock(door, yield* token())
      yield* idp.keys.rotate()
      expect(tally(yield* crowd(door, many(50, yield* token())))).toEqual({ 200: 50 })
      expect(idp.requests).toBeLessThanOrEqual(3)
    }).pipe(Effect.scoped, Effect.runPromise))
})

/** A life of so many seconds, to the letter: not clamped to a minute. */
const livesFor = (life: number): SceneOptions => ({
  registration: { strictHttp: true, prefetchJitter: 0 },
  provider: { response: { cacheControl: `max-age=${life}` } },
})

describe("a refresh", () => {
  it("begins with a request past the refresh point, and ends under waitUntil", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene(livesFor(2))
      const good = yield* token()
      expect(yield* knock(door, good)).toMatchObject({ status: 200 })
      yield* idp.keys.rotate()
      yield* idp.faults.hold
      const seen = yield* fork(idp.faults.awaitHeld(1))
      let answers = 0
      while (seen.pollUnsafe() === undefined) {
        expect(yield* knock(door, good)).toMatchObject({ status: 200 })
        answers += 1
      }
      expect(answers).toBeGreaterThan(1)
      expect(idp.requests).toBe(2)
      const sent = idp.log.at(-1)?.headers ?? {}
      expect(sent["if-none-match"]).toBeDefined()
      yield* idp.faults.release()
      // The response was sent long before; the set that came is there all the same.
      expect(yield* knock(door, yield* token())).toMatchObject({ status: 200 })
      expect(idp.requests).toBe(2)
      expect(complaints(door)).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise))
})

describe("a Worker that forgets waitUntil", () => {
  it("has the platform throw its refresh away, and the next request begin another", () =>
    Effect.gen(function* () {
      const { given, idp, token } = yield* makeScene(livesFor(2))
      const door = yield* running(() => startWorkerd(given, { isForgetful: true }))
      const good = yield* token()
      expect(yield* knock(door, good)).toMatchObject({ status: 200 })
      yield* idp.faults.hold
      const again = yield* fork(idp.awaitRequests(3))
      while (again.pollUnsafe() === undefined) expect(yield* knock(door, good)).toMatchObject({ status: 200 })
      yield* idp.awaitAbandoned(1)
    }).pipe(Effect.scoped, Effect.runPromise))
})

describe("a Worker that starts", () => {
  const signed = { options: { snapshotKey: "a key that the build and the Worker share" } }

  it("from a snapshot in its bundle asks nobody", () =>
    Effect.gen(function* () {
      const { given, idp, open, token } = yield* scene(signed)
      const snapshots = yield* Effect.promise(() => takeSnapshots(given))
      expect(Object.keys(snapshots).length).toBe(1)
      expect(idp.requests).toBe(1)
      yield* idp.faults.refuse()
      const door = yield* open({ snapshots })
      expect(tally(yield* crowd(door, many(20, yield* token())))).toEqual({ 200: 20 })
      expect(idp.requests).toBe(1)
      expect(complaints(door)).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise))

  it("from the platform's key-value store asks nobody but that", () =>
    Effect.gen(function* () {
      const { idp, open, token } = yield* scene(signed)
      const kv = new KvNamespace()
      const kvPort = yield* Effect.acquireRelease(
        Effect.promise(() => kv.listen()),
        () => Effect.promise(() => kv.close()),
      )
      const good = yield* token()
      const first = yield* open({ kvPort })
      expect(yield* knock(first, good)).toMatchObject({ status: 200 })
      // Written after the response, and only once.
      yield* Effect.promise(() => kv.written)
      expect([kv.values.size, idp.requests]).toEqual([1, 1])
      yield* idp.faults.refuse()
      const second = yield* open({ kvPort })
      expect(yield* knock(second, good)).toMatchObject({ status: 200 })
      expect(idp.requests).toBe(1)
      expect(complaints(second)).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise))

  it("without its key-value store fetches", () =>
    Effect.gen(function* () {
      const { idp, open, token } = yield* scene(signed)
      const kv = new KvNamespace()
      const kvPort = yield* Effect.promise(() => kv.listen())
      yield* Effect.promise(() => kv.close())
      const door = yield* open({ kvPort })
      expect(yield* knock(door, yield* token())).toMatchObject({ status: 200 })
      expect(idp.requests).toBe(1)
    }).pipe(Effect.scoped, Effect.runPromise))
})
