/**
 * What comes back from the store: at once, with its times, revalidated, or not at all and why.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { JwksRegistryService } from "../../src/JwksRegistryService.ts"
import { type AnswersNow, answersNow } from "../../src/AnswersNow.ts"
import { makeWorld, owner, withKey } from "../persistence/snapshotWorld.ts"
import { outOfMemory } from "../persistence/scriptedStore.ts"
import { withSteppedClock } from "../SteppedClock.ts"
import {
  answerAtOnce,
  assertWaits,
  begin,
  errorAtOnce,
  hours,
  minutes,
  seconds,
  settle,
  start,
  tagged,
} from "./support.ts"

describe("a fresh set that comes back", () => {
  it.effect("is on the hit path from its first question on, also where its status was looked at before", () =>
    Effect.gen(function* () {
      const { before, kid, open } = yield* makeWorld()
      yield* before()
      const { register, registry } = yield* open()
      yield* register()
      assert.lengthOf((yield* registry.allStatuses)[0]?.keys ?? [], 1)
      yield* answerAtOnce(registry.resolveKey("acme", kid))
      const ofOurs: JwksRegistryService & Partial<AnswersNow> = registry
      // Only a prebuilt answer is an exit before it is run.
      const answer = ofOurs[answersNow]?.resolveKey("acme", kid)
      assert.isTrue(Exit.isExit(answer))
    }),
  )

  it.effect("answers at once without a request, with the times that it had", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("5 minutes")
      const { events, metrics, register, resolve } = yield* open()
      yield* register()
      assert.deepInclude(yield* answerAtOnce(resolve), {
        freshness: "fresh",
        fetchedAt: start,
        expiresAt: start + minutes(10),
      })
      assert.strictEqual(idp.requests, 1)
      assert.deepStrictEqual(tagged(events, "SnapshotRestored"), [
        {
          _tag: "SnapshotRestored",
          ...owner,
          time: start + minutes(5),
          keys: 1,
          fetchedAt: start,
          expiresAt: start + minutes(10),
          staleUntil: start + minutes(70),
        },
      ])
      assert.deepInclude(yield* metrics, { restored_total: 1, ignored_total: 0, read_errors_total: 0 })
    }),
  )

  it.effect("is revalidated within minTtl, with its ETag: a 304 saves the body", () =>
    Effect.gen(function* () {
      const { before, idp, open, times } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("1 minute")
      const { register, resolve } = yield* open()
      yield* register()
      yield* TestClock.adjust(seconds(60) - 1)
      assert.strictEqual(idp.requests, 2)
      const request = idp.log.at(-1)
      assert.strictEqual(request?.status, 304)
      assert.isDefined(request?.headers["if-none-match"])
      assert.isAbove((yield* answerAtOnce(resolve)).fetchedAt, start + minutes(1))
      assert.isAbove(Number(times().fetchedAt), start + minutes(1))
      assert.strictEqual(times().fetchedInFullAt, start)
    }),
  )

  it.effect("ends when it would have ended, also where its provider is down", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* before()
      yield* idp.faults.status(404)
      yield* TestClock.adjust("5 minutes")
      const { register, resolve } = yield* open()
      yield* register()
      yield* TestClock.adjust(minutes(5) - 1)
      assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "fresh")
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "stale")
      yield* TestClock.adjust(hours(1) - 1)
      assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "stale")
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Effect.flip(resolve))._tag, "JwksUnavailable")
    }),
  )

  it.effect("stays within today's settings, which may be stricter", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("1 minute")
      const { register, resolve } = yield* open()
      yield* register({ maxTtl: "3 minutes" })
      assert.strictEqual((yield* answerAtOnce(resolve)).expiresAt, start + minutes(3))
      assert.strictEqual(idp.requests, 1)
    }),
  )
})

describe("the keys of a set that comes back", () => {
  it.effect("are told as those of a first set, when somebody looks at them, once", () =>
    Effect.gen(function* () {
      const { before, kid, open } = yield* makeWorld()
      yield* before()
      const { events, register, registry, resolve } = yield* open()
      yield* register()
      yield* settle
      assert.isEmpty(tagged(events, "KeysChanged"))
      const { thumbprint } = yield* resolve
      yield* settle
      yield* resolve
      yield* registry.refresh("acme", "idp")
      yield* settle
      const told = tagged(events, "KeysChanged")
      assert.lengthOf(told, 1)
      assert.deepInclude(told[0], { isFirst: true, added: [thumbprint], removed: [], kids: { [thumbprint]: kid } })
    }),
  )

  it.effect("are told before what a refresh changes in them", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* before()
      yield* idp.keys.rotate({ keepOld: false })
      const { events, register, registry } = yield* open()
      yield* register()
      yield* registry.refresh("acme", "idp")
      yield* settle
      const [first, second, ...more] = tagged(events, "KeysChanged")
      assert.isEmpty(more)
      assert.deepInclude(first, { isFirst: true, removed: [] })
      assert.deepInclude(second, { isFirst: false, removed: first?.added ?? [] })
    }),
  )
})

describe("an expired set that comes back inside its stale window", () => {
  it.effect("is revalidated before it answers: fresh, by a 304 without a body", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("30 minutes")
      const { register, resolve } = yield* open()
      yield* register()
      assert.deepInclude(yield* answerAtOnce(resolve), { freshness: "fresh", fetchedAt: start + minutes(30) })
      assert.strictEqual(idp.requests, 2)
      assert.strictEqual(idp.log.at(-1)?.status, 304)
    }),
  )

  it.effect("is served stale only once that has failed, or takes longer than a second", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("30 minutes")
      yield* idp.faults.hang()
      const { close, register, resolve } = yield* open()
      yield* register({ warm: false })
      const caller = yield* begin(resolve)
      yield* TestClock.adjust("999 millis")
      assertWaits(caller)
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* answerAtOnce(Fiber.join(caller)), { freshness: "stale", fetchedAt: start })
      yield* close
      yield* idp.faults.status(404)
      const next = yield* open()
      yield* next.register()
      assert.strictEqual((yield* answerAtOnce(next.resolve)).freshness, "stale")
    }),
  )

  it.effect("is revalidated by itself, also one that strictHttp lets live for no time at all", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* idp.respondWith({ cacheControl: "max-age=0" })
      yield* before({ strictHttp: true })
      yield* TestClock.adjust("1 minute")
      const { register, status } = yield* open()
      yield* register({ strictHttp: true })
      yield* TestClock.adjust(1)
      assert.strictEqual(idp.log.at(-1)?.status, 304)
      assert.strictEqual((yield* status).fetchedAt, start + minutes(1))
      // From then on whoever asks has it validated.
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("is ignored when its window is over", () =>
    Effect.gen(function* () {
      const { before, idp, open } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("70 minutes")
      yield* idp.faults.status(404)
      const { events, logs, metrics, register, resolve } = yield* open()
      yield* register()
      assert.strictEqual((yield* errorAtOnce(resolve))._tag, "JwksUnavailable")
      yield* settle
      assert.deepStrictEqual(
        tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
        ["is past its stale window"],
      )
      assert.include(logs.join("\n"), "Warn: a stored snapshot was ignored: is past its stale window")
      assert.deepInclude(yield* metrics, { restored_total: 0, ignored_total: 1 })
    }),
  )
})

describe("the store is slow to read", () => {
  it.effect("who resolves waits for it at most 250 ms from the registration, then for the fetch", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld()
      store.meet(({ operation }) => (operation === "get" ? Effect.uninterruptible(Effect.never) : Effect.void))
      const { register, resolve } = yield* open()
      yield* register()
      yield* TestClock.adjust("100 millis")
      const caller = yield* begin(resolve)
      yield* TestClock.adjust("149 millis")
      assertWaits(caller)
      assert.strictEqual(idp.requests, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* answerAtOnce(Fiber.join(caller))).fetchedAt, start + 250)
      store.heal()
    }),
  )

  it.effect("who resolves later waits for the fetch alone, and so does warmUp", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      store.meet(({ operation }) => (operation === "get" ? Effect.never : Effect.void))
      const { register, registry, resolve } = yield* open()
      yield* register()
      const warm = yield* begin(registry.warmUp({ timeout: "10 seconds" }))
      yield* TestClock.adjust("249 millis")
      assertWaits(warm)
      yield* TestClock.adjust("1 millis")
      assert.deepInclude((yield* answerAtOnce(Fiber.join(warm)))[0], { outcome: "usable" })
      yield* answerAtOnce(resolve)
      store.heal()
    }),
  )

  it.effect("what comes after 200 ms answers those who wait, without a request", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before()
      store.meet(({ operation }) => (operation === "get" ? Effect.sleep("200 millis") : Effect.void))
      const { register, resolve } = yield* open()
      yield* register()
      const callers = yield* begin(Effect.all([resolve, resolve], { concurrency: 2 }))
      yield* TestClock.adjust("200 millis")
      for (const { fetchedAt } of yield* answerAtOnce(Fiber.join(callers))) assert.strictEqual(fetchedAt, start)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("what comes while the fetch is under way is taken all the same, and answers those who wait", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("1 minute")
      yield* idp.faults.hang()
      store.meet(({ operation }) => (operation === "get" ? Effect.sleep("400 millis") : Effect.void))
      const { register, resolve } = yield* open()
      yield* register()
      yield* TestClock.adjust("399 millis")
      assert.strictEqual(idp.requests, 2)
      const early = yield* begin(resolve)
      assertWaits(early)
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* answerAtOnce(Fiber.join(early)), { freshness: "fresh", fetchedAt: start })
      assert.deepInclude(yield* answerAtOnce(resolve), { freshness: "fresh", fetchedAt: start })
    }),
  )

  it.effect("what comes after a failed attempt answers those who wait, fresh or stale", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before()
      for (const [later, freshness] of [
        ["1 minute", "fresh"],
        ["30 minutes", "stale"],
      ] as const) {
        yield* TestClock.adjust(later)
        yield* idp.faults.status(503, { next: 1 })
        yield* idp.faults.hang()
        store.meet(({ operation }) => (operation === "get" ? Effect.sleep("400 millis") : Effect.void))
        const { close, register, registry, resolve } = yield* open()
        yield* register()
        const warm = yield* begin(registry.warmUp({ timeout: "1 minute" }))
        const early = yield* begin(resolve)
        yield* TestClock.adjust("399 millis")
        assertWaits(early)
        yield* TestClock.adjust("1 millis")
        assert.deepInclude(yield* answerAtOnce(Fiber.join(early)), { freshness, fetchedAt: start })
        assert.deepInclude((yield* answerAtOnce(Fiber.join(warm)))[0], { outcome: "usable" })
        yield* idp.faults.heal
        yield* close
      }
    }),
  )

  it.effect("what comes after a fetch is older than what is held, and ignored", () =>
    Effect.gen(function* () {
      const { before, open, store } = yield* makeWorld()
      yield* before()
      yield* TestClock.adjust("1 minute")
      store.meet(({ operation }) => (operation === "get" ? Effect.sleep("400 millis") : Effect.void))
      const { events, register, resolve } = yield* open()
      yield* register()
      const held = store.textOf(owner) ?? assert.fail("nothing is stored")
      yield* TestClock.adjust("300 millis")
      store.put(owner, held)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* answerAtOnce(resolve)).fetchedAt, start + minutes(1) + 250)
      assert.deepStrictEqual(
        tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
        ["is older than what is held"],
      )
    }),
  )
})

describe("warm: false", () => {
  it.effect("looks at its first use, and asks neither store nor provider before", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before()
      const reads = store.reads.length
      const { register, resolve } = yield* open()
      yield* register({ warm: false })
      yield* TestClock.adjust("5 minutes")
      assert.lengthOf(store.reads, reads)
      assert.strictEqual((yield* answerAtOnce(resolve)).fetchedAt, start)
      assert.lengthOf(store.reads, reads + 1)
      assert.strictEqual(idp.requests, 1)
    }),
  )
})

describe("restoreFromPersistence", () => {
  it.effect("says how many came back, which were skipped and which were refused", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before()
      yield* before({ provider: "forged" })
      store.put({ tenant: "acme", provider: "forged" }, store.textOf(owner) ?? "")
      const { events, register, registry } = yield* open()
      for (const provider of ["idp", "forged", "new"]) yield* register({ provider, warm: false })
      const reason = "is not signed with a key of this registry"
      assert.deepStrictEqual(yield* registry.restoreFromPersistence, {
        done: 1,
        skipped: 1,
        failed: [{ tenant: "acme", provider: "forged", reason }],
      })
      assert.deepInclude(yield* registry.restoreFromPersistence, { done: 0, skipped: 2 })
      assert.strictEqual(tagged(events, "SnapshotIgnored")[0]?.rule, reason)
      assert.strictEqual(idp.requests, 2)
      assert.strictEqual((yield* registry.providerStatus("acme", "idp")).keys.length, 1)
    }),
  )

  it.effect("takes what another process has written since, if it is newer", () =>
    Effect.gen(function* () {
      const { idp, open } = yield* makeWorld()
      const { register, registry, resolve } = yield* open()
      yield* register()
      yield* settle
      yield* TestClock.adjust("1 minute")
      const other = yield* open()
      yield* other.register()
      yield* other.registry.refresh("acme", "idp")
      yield* settle
      assert.deepInclude(yield* registry.restoreFromPersistence, { done: 1 })
      assert.strictEqual((yield* resolve).fetchedAt, start + minutes(1))
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("gives up a frozen store after one batch", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { register, registry } = yield* open({ ...withKey, maxProvidersPerTenant: 100 })
      for (let i = 0; i < 100; i++) yield* register({ provider: `p${i}`, warm: false })
      store.meet(() => Effect.never)
      const restoring = yield* begin(Effect.flip(registry.restoreFromPersistence))
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(yield* answerAtOnce(Fiber.join(restoring)), { _tag: "PersistenceFailed" })
      assert.lengthOf(store.reads, 1)
    }),
  )

  it.effect("fails with PersistenceFailed where the store gives nothing", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { register, registry } = yield* open()
      assert.deepStrictEqual(yield* registry.restoreFromPersistence, { done: 0, skipped: 0, failed: [] })
      for (const provider of ["a", "b", "c", "d"]) yield* register({ provider, warm: false })
      store.meet(() => outOfMemory)
      assert.deepInclude(yield* Effect.flip(registry.restoreFromPersistence), {
        _tag: "PersistenceFailed",
        message: "the store failed (OOM)",
      })
      store.heal()
      assert.deepStrictEqual(yield* registry.restoreFromPersistence, { done: 0, skipped: 4, failed: [] })
    }),
  )
})

describe("another process", () => {
  const refused = Effect.fnUntraced(function* (
    stored: Parameters<Effect.Success<ReturnType<typeof makeWorld>>["open"]>[0],
    read: typeof stored,
  ) {
    const { before, idp, open } = yield* makeWorld()
    yield* before({}, stored)
    const { events, register, resolve } = yield* open(read)
    yield* register()
    yield* answerAtOnce(resolve)
    yield* settle
    const [rule] = tagged(events, "SnapshotIgnored").map(({ rule }) => rule)
    assert.strictEqual(idp.requests, rule === undefined ? 1 : 2)
    return rule
  })

  it.effect("with the key, one of several or none at all reads what is meant for it alone", () =>
    Effect.gen(function* () {
      const forged = "is not signed with a key of this registry"
      assert.isUndefined(yield* refused({ snapshotKey: "a" }, { snapshotKey: ["b", "a"] }))
      assert.strictEqual(yield* refused({ snapshotKey: "a" }, { snapshotKey: "b" }), forged)
      assert.strictEqual(yield* refused({ snapshotKey: "a" }, {}), forged)
      assert.strictEqual(yield* refused({}, { snapshotKey: "a" }), forged)
      assert.isUndefined(yield* refused({}, {}))
      assert.strictEqual(yield* refused({ unsignedSnapshots: true }, { snapshotKey: "a" }), "is not signed")
      assert.strictEqual(yield* refused({ unsignedSnapshots: true }, {}), "is not signed")
      assert.isUndefined(yield* refused({ unsignedSnapshots: true }, { unsignedSnapshots: true }))
      assert.isUndefined(yield* refused({ unsignedSnapshots: true }, { snapshotKey: "a", unsignedSnapshots: true }))
    }),
  )

  it.effect("does not take a torn text: the whole registry fetches instead", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before()
      const text = store.textOf(owner) ?? assert.fail("nothing is stored")
      for (const torn of ["", text.slice(0, 40), text.slice(0, -1), text.replace("max-age", "min-age")]) {
        store.put(owner, torn)
        const { close, events, register, resolve } = yield* open()
        yield* register()
        assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "fresh")
        yield* settle
        assert.lengthOf(tagged(events, "SnapshotIgnored"), 1)
        yield* close
      }
      assert.strictEqual(idp.requests, 5)
    }),
  )

  it.effect("with a wall clock that is a day behind or ahead fetches; a set never lives longer", () =>
    Effect.gen(function* () {
      for (const step of [-hours(24), hours(24)]) {
        yield* withSteppedClock(({ stepWall }) =>
          Effect.gen(function* () {
            const { before, idp, open } = yield* makeWorld()
            yield* before()
            yield* idp.faults.status(404)
            stepWall(step)
            const { events, register, resolve } = yield* open()
            yield* register()
            assert.strictEqual((yield* errorAtOnce(resolve))._tag, "JwksUnavailable")
            assert.deepStrictEqual(
              tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
              [step < 0 ? "was fetched in the future" : "is past its stale window"],
            )
          }),
        )
      }
    }),
  )

  it.effect("whose wall clock is set back after the restore ends the set by the monotonic clock", () =>
    withSteppedClock(({ stepWall }) =>
      Effect.gen(function* () {
        const { before, idp, open } = yield* makeWorld()
        yield* before()
        yield* idp.faults.status(404)
        stepWall(seconds(-59))
        const { register, resolve } = yield* open()
        yield* register()
        stepWall(hours(-24))
        yield* TestClock.adjust(minutes(10) - 1)
        assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "fresh")
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "stale")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* Effect.flip(resolve))._tag, "JwksUnavailable")
      }),
    ),
  )
})

describe("a provider that is registered by its issuer", () => {
  it.effect("comes back with its URL, which stays known while its metadata are down", () =>
    Effect.gen(function* () {
      const { idp, open, kid } = yield* makeWorld()
      const issued = { tenant: "acme", provider: "idp", issuer: idp.issuer, prefetchJitter: 0 }
      const first = yield* open()
      yield* first.registry.register(issued)
      yield* settle
      yield* first.close
      yield* idp.faults.status(503, { only: "discovery" })
      yield* TestClock.adjust("1 minute")
      const asked = idp.requests
      const { events, registry, status } = yield* open()
      yield* registry.register(issued)
      assert.strictEqual((yield* answerAtOnce(registry.resolveKey("acme", kid))).fetchedAt, start)
      assert.strictEqual(idp.requests, asked)
      assert.strictEqual((yield* status).url, idp.jwksUrl)
      yield* TestClock.adjust("2 minutes")
      assert.isNotEmpty(tagged(events, "RediscoveryFailed"))
      assert.isAbove((yield* registry.resolveKey("acme", kid)).fetchedAt, start + minutes(1))
    }),
  )

  it.effect("does not come back from a URL that the registry forbids today", () =>
    Effect.gen(function* () {
      const { idp, open } = yield* makeWorld({ jwksUrl: "https://keys.test/jwks" })
      const issued = { tenant: "acme", provider: "idp", issuer: idp.issuer }
      const first = yield* open()
      yield* first.registry.register(issued)
      yield* settle
      yield* first.close
      const { events, registry } = yield* open({ ...withKey, allowedDomains: ["idp.test"] })
      yield* registry.register(issued)
      yield* settle
      assert.deepStrictEqual(
        tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
        ["is of a URL that is not allowed"],
      )
    }),
  )
})
