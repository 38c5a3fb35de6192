/**
 * What is written to the store, and when.
 */
import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as TestClock from "effect/testing/TestClock"
import { outOfMemory } from "../persistence/scriptedStore.ts"
import { makeWorld, owner, withKey } from "../persistence/snapshotWorld.ts"
import { answerAtOnce, assertWaits, begin, hours, minutes, settle, start, tagged } from "./support.ts"

describe("a snapshot is written", () => {
  it.effect("after a 200 and after a 304, with the times that moved", () =>
    Effect.gen(function* () {
      const { idp, open, store, times } = yield* makeWorld()
      const { register, registry } = yield* open()
      yield* register()
      yield* settle
      const full = { fetchedInFullAt: start }
      assert.deepStrictEqual(times(), {
        ...full,
        fetchedAt: start,
        expiresAt: start + minutes(10),
        staleUntil: start + minutes(70),
      })
      assert.deepStrictEqual(Array.from(store.timesToLive.values()), [minutes(70)])
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual((yield* registry.refresh("acme", "idp"))._tag, "NotModified")
      yield* settle
      assert.deepStrictEqual(times(), {
        ...full,
        fetchedAt: start + minutes(3),
        expiresAt: start + minutes(13),
        staleUntil: start + minutes(73),
      })
      yield* idp.keys.rotate()
      yield* registry.refresh("acme", "idp")
      yield* settle
      assert.strictEqual(times().fetchedInFullAt, start + minutes(3))
      assert.lengthOf(store.writes, 3)
    }),
  )

  it.effect("after those who wait are answered, who never wait for the store", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { register, registry, resolve } = yield* open()
      store.meet(({ operation }) => (operation.startsWith("set") ? Effect.uninterruptible(Effect.never) : Effect.void))
      yield* register()
      assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "fresh")
      yield* answerAtOnce(registry.refresh("acme", "idp"))
      yield* TestClock.adjust("3 hours")
      assert.isAbove((yield* answerAtOnce(resolve)).fetchedAt, start + hours(2))
      store.heal()
      yield* TestClock.adjust("1 minute")
    }),
  )

  it.effect("not after a failed refresh, and not on a hit: hits touch no store", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld()
      const { register, registry, resolve } = yield* open()
      yield* register()
      yield* settle
      const calls = store.calls.length
      yield* Effect.replicateEffect(resolve, 1_000)
      yield* Effect.replicateEffect(registry.resolve("acme", "idp"), 1_000)
      yield* Effect.exit(registry.resolveKey("acme", "nobody's"))
      yield* settle
      const afterUnknown = store.calls.length
      yield* idp.faults.status(503)
      yield* TestClock.adjust("30 minutes")
      assert.strictEqual((yield* resolve).freshness, "stale")
      // The unknown kid was looked for upstream: a 304.
      assert.isAtMost(afterUnknown - calls, 1)
      assert.lengthOf(store.calls, afterUnknown)
    }),
  )

  it.effect("without private and symmetric secrets, without keys in grace, without other headers", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld({
        response: { extra: { "set-cookie": "session=secret-cookie", "x-trace": "secret-trace" } },
      })
      const [good, other] = staticKeys(2)
      yield* idp.keys.publishRaw({
        keys: [
          good,
          { kty: "oct", kid: "hmac", k: "secret-k" },
          { ...other, kid: "private", d: "secret-d" },
          {
            kty: "RSA",
            kid: "rsa",
            n: "AQAB",
            e: "AQAB",
            d: "secret-rd",
            p: "secret-p",
            q: "secret-q",
            dp: "secret-dp",
            dq: "secret-dq",
            qi: "secret-qi",
            oth: [{ r: "secret-r", d: "secret-od", t: "secret-t" }],
          },
          { kty: "AKP", kid: "akp", alg: "ML-DSA-44", pub: "AA", priv: "secret-priv" },
        ],
        note: "secret-note",
      })
      const { register, registry } = yield* open()
      yield* register({ removedKeyGrace: "1 hour" })
      yield* settle
      const text = store.textOf(owner) ?? assert.fail("nothing is stored")
      assert.notInclude(text, "secret")
      assert.include(text, "static-1")
      yield* idp.keys.publishRaw({ keys: [{ ...other, kid: "next" }] })
      yield* registry.refresh("acme", "idp")
      yield* settle
      assert.strictEqual((yield* registry.resolveKey("acme", "static-1")).freshness, "stale")
      assert.notInclude(store.textOf(owner), "static-1")
      assert.include(store.textOf(owner), "next")
    }),
  )

  it.effect("unsigned or signed, as the options say; a log line says that without a key it does not outlive us", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const form = Effect.fnUntraced(function* (options: Parameters<typeof open>[0]) {
        const { close, logs, register } = yield* open(options)
        yield* register()
        yield* settle
        yield* close
        const text = store.textOf(owner)
        store.stored.clear()
        return { isSigned: !text?.startsWith("effect-jwks/1 - "), logs: logs.join() }
      })
      const signed = yield* form({ snapshotKey: "k", unsignedSnapshots: true })
      assert.isTrue(signed.isSigned)
      assert.isFalse((yield* form({ unsignedSnapshots: true })).isSigned)
      assert.notInclude(signed.logs, "outlive")
      const keyless = yield* form({})
      assert.isTrue(keyless.isSigned)
      assert.include(keyless.logs, "Info: JWKS snapshots will not outlive this process")
    }),
  )
})

describe("a snapshot is removed", () => {
  it.effect("when its provider is unregistered, also while it is written; a later registration finds nothing", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld()
      const { events, register, registry } = yield* open()
      const release = store.hold("setMany")
      yield* register()
      yield* settle
      assert.lengthOf(store.writes, 1)
      yield* registry.unregister("acme", "idp")
      yield* settle
      yield* release
      yield* settle
      assert.isEmpty(store.stored)
      yield* register()
      yield* settle
      assert.strictEqual(idp.requests, 2)
      assert.isEmpty(tagged(events, "SnapshotRestored"))
      assert.isEmpty(tagged(events, "SnapshotIgnored"))
      yield* registry.unregisterTenant("acme")
      yield* settle
      assert.isEmpty(store.stored)
    }),
  )

  it.effect("and counts as removed before it is: while the store removes nothing, and while it reads slowly", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before()
      for (const fault of ["remove", "get"] as const) {
        const { close, events, register, registry } = yield* open()
        yield* register({ warm: false })
        const asked = idp.requests
        if (fault === "remove") store.meet(({ operation }) => (operation === "remove" ? outOfMemory : Effect.void))
        // What is read is read before the removal, and comes after it.
        else store.meet(({ operation }) => (operation === "get" ? Effect.sleep("100 millis") : Effect.void))
        const text = store.textOf(owner) ?? assert.fail("nothing is stored")
        yield* registry.unregister("acme", "idp")
        // One that is warm looks at once: before the removal.
        yield* register({ warm: fault === "get" })
        const reader = yield* begin(registry.resolve("acme", "idp"))
        yield* settle
        if (fault === "get") store.put(owner, text)
        yield* TestClock.adjust("100 millis")
        yield* Fiber.join(reader)
        assert.isEmpty(tagged(events, "SnapshotRestored"), fault)
        assert.strictEqual(idp.requests, asked + 1, fault)
        store.heal()
        yield* TestClock.adjust("10 seconds")
        yield* close
      }
    }),
  )

  it.effect("when it is registered from elsewhere, or fetched otherwise; not when only its times change", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld()
      const { register } = yield* open()
      yield* register()
      yield* settle
      yield* register({ maxTtl: "5 minutes" })
      yield* settle
      assert.isEmpty(store.removals)
      yield* idp.faults.status(503)
      yield* register({ jwksUrl: `${idp.jwksUrl}?v=2` })
      yield* settle
      assert.isEmpty(store.stored)
      assert.lengthOf(store.removals, 1)
      // And back again: it must not come back.
      yield* register()
      yield* settle
      assert.isEmpty(store.stored)
    }),
  )

  it.effect("when strictHttp forbids to store it, each time; and such a set is never written", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* before({ strictHttp: true })
      assert.strictEqual(store.stored.size, 1)
      yield* idp.respondWith({ cacheControl: "no-store" })
      const { close, register, registry } = yield* open()
      yield* register({ strictHttp: true, warm: false })
      yield* registry.refresh("acme", "idp")
      yield* settle
      yield* registry.refresh("acme", "idp")
      yield* settle
      assert.isEmpty(store.stored)
      assert.lengthOf(store.removals, 2)
      assert.lengthOf(store.writes, 1)
      assert.deepStrictEqual(yield* registry.persistAll, { done: 0, skipped: 1, failed: [] })
      yield* close
      assert.isEmpty(store.stored)
    }),
  )
})

describe("a document that says no-store", () => {
  it.effect("leaves the store when its provider is registered with strictHttp", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld()
      yield* idp.respondWith({ cacheControl: "no-store" })
      const { register } = yield* open()
      yield* register()
      yield* settle
      assert.strictEqual(store.stored.size, 1)
      yield* idp.faults.status(404)
      yield* register({ strictHttp: true, warm: false })
      yield* settle
      assert.isEmpty(store.stored)
    }),
  )

  it.effect("and that an earlier process has stored is refused, and leaves the store", () =>
    Effect.gen(function* () {
      const { before, idp, open, store } = yield* makeWorld()
      yield* idp.respondWith({ cacheControl: "no-store" })
      yield* before()
      yield* idp.faults.status(404)
      const { events, register } = yield* open()
      yield* register({ strictHttp: true })
      yield* settle
      assert.deepStrictEqual(
        tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
        ["is of a document that must not be stored"],
      )
      assert.isEmpty(store.stored)
    }),
  )
})

describe("a document that was redirected to", () => {
  it.effect("is stored with the URL that answered, and refused where that is not allowed any more", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld({ jwksUrl: "https://keys.test/jwks" })
      yield* idp.faults.redirect("https://keys.test/jwks", 302, { only: "other" })
      const first = yield* open()
      yield* first.register({ jwksUrl: `${idp.issuer}/moved` })
      yield* settle
      yield* first.close
      assert.include(store.textOf(owner), '"finalUrl":"https://keys.test/jwks"')
      yield* TestClock.adjust("1 minute")
      const second = yield* open()
      yield* second.register({ jwksUrl: `${idp.issuer}/moved` })
      yield* settle
      assert.lengthOf(tagged(second.events, "SnapshotRestored"), 1)
      yield* second.close
      const { events, register } = yield* open({ ...withKey, allowedDomains: ["idp.test"] })
      yield* register({ jwksUrl: `${idp.issuer}/moved` })
      yield* settle
      assert.deepStrictEqual(
        tagged(events, "SnapshotIgnored").map(({ rule }) => rule),
        ["is of a URL that is not allowed"],
      )
    }),
  )
})

describe("persistAll", () => {
  it.effect("brings nothing back that is unregistered beside it, however the fibers take turns", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { register, registry } = yield* open()
      for (let steps = 3; steps < 24; steps++) {
        yield* register()
        yield* settle
        const all = yield* begin(Effect.provideService(registry.persistAll, Scheduler.MaxOpsBeforeYield, steps))
        yield* registry.unregister("acme", "idp")
        yield* Fiber.join(all)
        yield* settle
        assert.isEmpty(store.stored, `${steps} steps`)
      }
      for (let steps = 3; steps < 24; steps++) {
        yield* register()
        yield* settle
        const all = yield* Effect.forkChild(
          Effect.provideService(registry.persistAll, Scheduler.MaxOpsBeforeYield, steps),
          { startImmediately: true },
        )
        yield* registry.unregister("acme", "idp")
        yield* Fiber.join(all)
        yield* settle
        assert.isEmpty(store.stored, `${steps} steps, at once`)
      }
    }),
  )

  it.effect("writes every held set and says what it skipped: nothing held, or past its window", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld()
      const { register, registry } = yield* open()
      yield* register()
      yield* register({ provider: "cold", warm: false })
      yield* settle
      store.stored.clear()
      assert.deepStrictEqual(yield* registry.persistAll, { done: 1, skipped: 1, failed: [] })
      assert.isDefined(store.textOf(owner))
      yield* idp.faults.status(503)
      yield* TestClock.adjust("71 minutes")
      assert.deepStrictEqual(yield* registry.persistAll, { done: 0, skipped: 2, failed: [] })
    }),
  )

  it.effect("names whom it could not write, and why", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { register, registry } = yield* open()
      for (const provider of ["idp", "bad"]) yield* register({ provider })
      yield* settle
      store.meet(({ ids }) => (ids.some((id) => id.startsWith("acme.bad.")) ? outOfMemory : Effect.void))
      assert.deepStrictEqual(yield* registry.persistAll, {
        done: 1,
        skipped: 0,
        failed: [{ tenant: "acme", provider: "bad", reason: "the store failed (OOM)" }],
      })
      store.heal()
    }),
  )

  it.effect(
    "fails with PersistenceFailed where the store takes nothing, and has nothing to fail with where nothing is held",
    () =>
      Effect.gen(function* () {
        const { open, store } = yield* makeWorld()
        const { register, registry } = yield* open()
        store.meet(() => outOfMemory)
        assert.deepStrictEqual(yield* registry.persistAll, { done: 0, skipped: 0, failed: [] })
        for (const provider of ["idp", "b", "c", "d", "e"]) yield* register({ provider })
        yield* settle
        const error = yield* Effect.flip(registry.persistAll)
        assert.deepInclude(error, { _tag: "PersistenceFailed", message: "the store failed (OOM)" })
        store.heal()
        assert.deepStrictEqual(yield* registry.persistAll, { done: 5, skipped: 0, failed: [] })
      }),
  )

  it.effect("waits for a write that is under way", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { register, registry } = yield* open()
      const release = store.hold("setMany")
      yield* register()
      yield* settle
      const all = yield* begin(registry.persistAll)
      assertWaits(all)
      yield* release
      assert.deepStrictEqual(yield* answerAtOnce(Fiber.join(all)), { done: 1, skipped: 0, failed: [] })
    }),
  )
})
