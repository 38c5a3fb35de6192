import { assert, describe, it } from "@effect/vitest"
import { resilientPersistence } from "@effect-jwks/core"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Persistable from "effect/persistence/Persistable"
import * as Persistence from "effect/persistence/Persistence"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { settle } from "../rules/support.ts"

class Entry extends Persistable.Class<{ payload: { readonly id: string } }>()("Entry", {
  primaryKey: ({ id }) => id,
  success: Schema.String,
}) {}

const entry = new Entry({ id: "a" })

/** A layer whose every building does what the test says next, and then stands on memory. */
const scripted = (...fates: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>>) => {
  let builds = 0
  const layer = Layer.effect(
    Persistence.Persistence,
    Effect.gen(function* () {
      yield* fates[builds++] ?? Effect.void
      return Context.get(yield* Layer.build(Persistence.layerMemory), Persistence.Persistence)
    }),
  )
  return { layer, builds: () => builds }
}

/** The resilient layer, a store of it, and what it logs. */
const open = Effect.fnUntraced(function* (layer: Layer.Layer<Persistence.Persistence, unknown>) {
  const logged: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void logged.push(`${logLevel}: ${String(message)}`))
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(resilientPersistence(layer), scope).pipe(
    Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
  )
  const persistence = Context.get(context, Persistence.Persistence)
  const store = yield* Scope.provide(persistence.make({ storeId: "s" }), scope)
  return { persistence, store, logged, close: Scope.close(scope, Exit.void) }
})

const secret = "redis://user:s3cret@host"
const refused = Effect.fail({ message: secret, cause: { code: "ECONNREFUSED" } })

describe("A persistence that is there at once", () => {
  it.effect("is what it was built of, when that can be built", () =>
    Effect.gen(function* () {
      const { close, logged, store } = yield* open(scripted().layer)
      yield* store.set(entry, Exit.succeed("text"))
      assert.deepStrictEqual(yield* store.get(entry), Exit.succeed("text"))
      assert.deepStrictEqual(yield* store.getMany([entry]), [Exit.succeed("text")])
      yield* store.remove(entry)
      assert.isUndefined(yield* store.get(entry))
      yield* store.setMany([[entry, Exit.succeed("text")]])
      yield* store.clear
      assert.isUndefined(yield* store.get(entry))
      yield* close
      assert.deepStrictEqual(logged, [])
    }),
  )

  for (const [how, fate] of [
    ["fails", refused],
    ["dies", Effect.die({ message: secret, code: "ECONNREFUSED" })],
  ] as const) {
    it.effect(`${how}: fails every operation at once with the code, and stands after some tries`, () =>
      Effect.gen(function* () {
        const { layer, builds } = scripted(fate, fate, fate)
        const { close, logged, store } = yield* open(layer)
        yield* settle
        for (const operation of [
          store.get(entry),
          store.getMany([entry]),
          store.set(entry, Exit.succeed("text")),
          store.setMany([[entry, Exit.succeed("text")]]),
          store.remove(entry),
          store.clear,
        ]) {
          const error = yield* Effect.flip(operation)
          assert.strictEqual(error._tag, "PersistenceError")
          assert.deepNestedInclude(error, { cause: { code: "ECONNREFUSED" } })
        }
        assert.strictEqual(builds(), 1)
        yield* TestClock.adjust(999)
        assert.strictEqual(builds(), 1)
        yield* TestClock.adjust("1001 millis")
        assert.strictEqual(builds(), 2)
        yield* TestClock.adjust("12 seconds")
        assert.strictEqual(builds(), 4)
        yield* store.set(entry, Exit.succeed("text"))
        assert.deepStrictEqual(yield* store.get(entry), Exit.succeed("text"))
        yield* close
        assert.deepStrictEqual(logged, [
          "Warn: the persistence can not be built (ECONNREFUSED); it is tried again until it can",
          "Info: the persistence could be built after all",
        ])
      }),
    )
  }

  it.effect("is tried for ever, at least every 30 seconds and at most every second, with one log line", () =>
    Effect.gen(function* () {
      const { layer, builds } = scripted(...Array.from({ length: 10_000 }, () => refused))
      const { close, logged } = yield* open(layer)
      yield* TestClock.adjust("1 minute")
      const before = builds()
      for (let step = 0; step < 60; step++) yield* TestClock.adjust("1 minute")
      assert.isAtLeast(builds() - before, 120)
      assert.isAtMost(builds() - before, 600)
      yield* close
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(logged.length, 1)
    }),
  )

  it.effect("hangs: waits for the first try, which is given up after a minute, and for no other", () =>
    Effect.gen(function* () {
      const { layer, builds } = scripted(Effect.never)
      const { close, store } = yield* open(layer)
      const asked = yield* Effect.forkChild(Effect.flip(store.clear), { startImmediately: true })
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(asked.pollUnsafe())
      assert.strictEqual(builds(), 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(asked))._tag, "PersistenceError")
      assert.strictEqual((yield* Effect.flip(store.clear))._tag, "PersistenceError")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(builds(), 2)
      yield* store.clear
      yield* close
    }),
  )

  it.effect("closes what was built", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const { layer } = scripted(Effect.addFinalizer(() => Deferred.succeed(closed, undefined)))
      const { close, store } = yield* open(layer)
      yield* store.clear
      assert.isFalse(yield* Deferred.isDone(closed))
      yield* close
      assert.isTrue(yield* Deferred.isDone(closed))
      assert.strictEqual((yield* Effect.flip(store.clear))._tag, "PersistenceError")
    }),
  )

  it.effect("closes a try that failed before the next one", () =>
    Effect.gen(function* () {
      let held = 0
      const hold = Effect.acquireRelease(
        Effect.sync(() => (held += 1)),
        () => Effect.sync(() => (held -= 1)),
      )
      const { layer } = scripted(Effect.andThen(hold, refused), Effect.andThen(hold, refused), hold)
      const { close, store } = yield* open(layer)
      yield* TestClock.adjust("10 seconds")
      yield* store.clear
      assert.strictEqual(held, 1)
      yield* close
      assert.strictEqual(held, 0)
    }),
  )

  for (const [what, fate] of [
    ["building", Effect.uninterruptible(Effect.never)],
    ["closing", Effect.addFinalizer(() => Effect.never)],
  ] as const) {
    it.effect(`does not wait for ${what} that never ends`, () =>
      Effect.gen(function* () {
        const { close } = yield* open(scripted(fate).layer)
        const begin = performance.now()
        yield* close
        assert.isBelow(performance.now() - begin, 2_500)
      }),
    )
  }

  it.effect("makes a store once, however many use it at a time, and again if it could not be made", () =>
    Effect.gen(function* () {
      let made = 0
      const gate = yield* Deferred.make<void>()
      const layer = Layer.effect(
        Persistence.Persistence,
        Effect.map(Layer.build(Persistence.layerMemory), (context) => ({
          make: (options: Parameters<Persistence.Persistence["Service"]["make"]>[0]) =>
            Effect.suspend(() =>
              ++made === 1
                ? Effect.andThen(Deferred.await(gate), Effect.die({ code: "ENOTABLE" }))
                : Context.get(context, Persistence.Persistence).make(options),
            ),
        })),
      )
      const { close, store } = yield* open(layer)
      assert.strictEqual(made, 0)
      const first = yield* Effect.forkChild(Effect.flip(store.clear), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.flip(store.clear), { startImmediately: true })
      yield* settle
      assert.strictEqual(made, 1)
      yield* Deferred.succeed(gate, undefined)
      for (const fiber of [first, second]) {
        assert.deepNestedInclude(yield* Fiber.join(fiber), { cause: { code: "ENOTABLE" } })
      }
      yield* store.clear
      yield* store.clear
      assert.strictEqual(made, 2)
      yield* close
    }),
  )
})
