/**
 * A store that is down, slow or frozen: nobody waits for it, everybody hears of it, and it is used again.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { outOfMemory } from "../persistence/scriptedStore.ts"
import { makeWorld, owner } from "../persistence/snapshotWorld.ts"
import { answerAtOnce, hours, seconds, settle, start, tagged } from "./support.ts"

describe("a store that is down", () => {
  it.effect("when providers are registered costs no time: they fetch at once", () =>
    Effect.gen(function* () {
      const { idp, open, store } = yield* makeWorld()
      store.meet(() => outOfMemory)
      const { events, logs, metrics, register, registry } = yield* open()
      for (const provider of ["a", "b", "c"]) yield* register({ provider })
      yield* answerAtOnce(registry.resolve("acme", "c"))
      yield* settle
      assert.strictEqual(idp.requests, 3)
      assert.lengthOf(store.reads, 1)
      const reads = tagged(events, "SnapshotFailed").filter(({ operation }) => operation === "read")
      assert.deepStrictEqual(
        reads.map(({ isFirst, provider }) => [provider, isFirst]),
        [
          ["a", true],
          ["b", false],
          ["c", false],
        ],
      )
      const levels = (level: string) =>
        logs.filter((line) => line.startsWith(`${level}: the JWKS snapshot could not be read`))
      assert.deepStrictEqual([levels("Warn").length, levels("Debug").length], [1, 2])
      assert.include(levels("Warn")[0], "the store failed (OOM)")
      assert.notInclude(logs.join() + JSON.stringify(events), "secret-of-the-store")
      assert.deepInclude(yield* metrics, { read_errors_total: 3 })
    }),
  )

  it.effect("to write is told once for each provider until it works, and then written without a restart", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { events, logs, metrics, register, resolve } = yield* open()
      store.meet(({ operation }) => (operation.startsWith("set") ? outOfMemory : Effect.void))
      yield* register()
      yield* TestClock.adjust("10 minutes")
      const failed = tagged(events, "SnapshotFailed")
      assert.deepStrictEqual(
        failed.map(({ isFirst, operation, rule }) => [operation, rule, isFirst]),
        [["write", "the store failed (OOM)", true]],
      )
      assert.lengthOf(
        logs.filter((line) => line.startsWith("Warn:")),
        1,
      )
      const during = yield* metrics
      assert.deepInclude(during, { unwritten: 1, writes_total: 0 })
      assert.isAtLeast(during["write_errors_total"] ?? 0, 2)
      store.heal()
      yield* TestClock.adjust("61 seconds")
      assert.lengthOf(tagged(events, "SnapshotStoreRecovered"), 1)
      assert.include(logs.join("\n"), "Info: JWKS snapshots can be written again")
      assert.deepInclude(yield* metrics, { unwritten: 0 })
      assert.isDefined(store.textOf(owner))
      assert.strictEqual((yield* resolve).freshness, "fresh")
      // And once more, when it fails again.
      store.meet(({ operation }) => (operation.startsWith("set") ? outOfMemory : Effect.void))
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(tagged(events, "SnapshotFailed"), 2)
      store.heal()
    }),
  )

  it.effect("costs refreshes nothing, dying drivers neither", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { register, registry, resolve } = yield* open()
      store.meet(() => Effect.die(new Error("a bug of the driver")))
      yield* register()
      yield* answerAtOnce(resolve)
      for (let i = 0; i < 20; i++) {
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "fresh")
        yield* answerAtOnce(registry.refresh("acme", "idp"))
      }
      store.heal()
      yield* TestClock.adjust("61 seconds")
      assert.isDefined(store.textOf(owner))
    }),
  )

  it.effect("for one provider alone is told of that one, and of no other", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { events, register } = yield* open()
      store.meet(({ ids, operation }) =>
        operation.startsWith("set") && ids.some((id) => id.startsWith("acme.bad.")) ? outOfMemory : Effect.void,
      )
      for (const provider of ["idp", "bad", "good"]) yield* register({ provider })
      yield* TestClock.adjust("3 hours")
      const failed = tagged(events, "SnapshotFailed")
      assert.deepStrictEqual(Array.from(new Set(failed.map(({ provider }) => provider))), ["bad"])
      assert.isDefined(store.textOf(owner))
    }),
  )
})

describe("a store that is frozen", () => {
  it.effect("delays no resolve and no refresh for hours, and is used again when it thaws", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { events, register, registry, resolve } = yield* open()
      yield* register()
      yield* settle
      const thaw = Deferred.makeUnsafe<void>()
      store.meet(() => Effect.uninterruptible(Deferred.await(thaw)))
      for (let i = 0; i < 30; i++) {
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual((yield* answerAtOnce(resolve)).freshness, "fresh")
        yield* answerAtOnce(registry.refresh("acme", "idp"))
      }
      assert.isAbove((yield* resolve).fetchedAt, start + hours(4))
      assert.strictEqual(tagged(events, "SnapshotFailed")[0]?.rule, "the store did not answer within 5000 ms")
      // What does not end is not begun without end.
      assert.isAtMost(store.calls.length, 20)
      store.heal()
      yield* Deferred.succeed(thaw, undefined)
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(tagged(events, "SnapshotStoreRecovered"), 1)
    }),
  )
})

describe("closing", () => {
  it.effect("writes what is unwritten", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { close, logs, register } = yield* open()
      store.meet(({ operation }) => (operation.startsWith("set") ? outOfMemory : Effect.void))
      yield* register()
      yield* settle
      store.heal()
      yield* close
      assert.isDefined(store.textOf(owner))
      assert.notInclude(logs.join("\n"), "unwritten")
    }),
  )

  it.effect("over a frozen store takes about 2 s of real time, and warns how many are left", () =>
    Effect.gen(function* () {
      for (const frozen of [Effect.never, Effect.uninterruptible(Effect.never)]) {
        const { open, store } = yield* makeWorld()
        const { close, logs, register } = yield* open()
        store.meet(({ operation }) => (operation === "get" ? Effect.void : frozen))
        for (const provider of ["idp", "b", "c"]) yield* register({ provider })
        yield* settle
        const began = performance.now()
        yield* close
        const took = performance.now() - began
        assert.isAtLeast(took, seconds(2) - 50)
        assert.isAtMost(took, seconds(4))
        assert.include(logs.join("\n"), "Warn: 3 JWKS snapshots are left unwritten")
      }
    }),
  )

  it.effect("over a store that fails takes no time, and warns", () =>
    Effect.gen(function* () {
      const { open, store } = yield* makeWorld()
      const { close, logs, register } = yield* open()
      store.meet(() => outOfMemory)
      yield* register()
      yield* settle
      yield* answerAtOnce(close)
      assert.include(logs.join("\n"), "Warn: 1 JWKS snapshots are left unwritten")
    }),
  )
})
