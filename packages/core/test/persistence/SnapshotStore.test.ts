import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, assertWaits, begin, seconds, settle, withRandom } from "../rules/support.ts"
import { outOfMemory, storeError, openScripted } from "./scriptedStore.ts"

const asked = { isUrgent: true }
const unasked = { isUrgent: false }

const open = Effect.fnUntraced(function* () {
  const { backing, store } = yield* openScripted()
  const entry = (id: string, timeToLive = 1_000) => ({ id, text: `text of ${id}`, timeToLive })
  return { backing, store, entry }
})

/** Half of each delay: 0.5 s, 1 s, 2 s, ... */
const test = (body: (world: Effect.Success<ReturnType<typeof open>>) => Effect.Effect<unknown, unknown>) => () =>
  Effect.scoped(Effect.flatMap(open(), body)).pipe(withRandom(0.5))

const found = (id: string) => ({ _tag: "Found" as const, text: `text of ${id}` })

describe("a store that works", () => {
  it.effect(
    "keeps texts for as long as they are of use, all in one slot of a Redis Cluster",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* store.writeMany([entry("a", 5), entry("b", 7)], unasked), [undefined, undefined])
        assert.deepStrictEqual(backing.storeIds, ["{shop}"])
        assert.deepStrictEqual(Array.from(backing.timesToLive), [
          ["a", 5],
          ["b", 7],
        ])
      }),
    ),
  )

  it.effect(
    "answers in the order of the question, absent ones too, in one call",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        yield* store.writeMany([entry("a"), entry("b"), entry("c")], unasked)
        const reads = yield* store.readMany(["c", "x", "a", "b"], unasked)
        assert.deepStrictEqual(reads, [found("c"), { _tag: "Absent" }, found("a"), found("b")])
        assert.lengthOf(backing.writes, 1)
        assert.lengthOf(backing.reads, 1)
      }),
    ),
  )

  it.effect(
    "removes, and is asked for nothing where there is nothing to ask",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        yield* store.writeMany([entry("a"), entry("b")], unasked)
        yield* store.removeMany(["a"], unasked)
        assert.deepStrictEqual(Array.from(backing.stored.keys()), ["b"])
        const calls = backing.calls.length
        for (const effect of [store.readMany([], asked), store.writeMany([], asked), store.removeMany([], asked)]) {
          assert.isEmpty(yield* effect)
        }
        assert.lengthOf(backing.calls, calls)
      }),
    ),
  )
})

describe("a value that is no snapshot", () => {
  it.effect(
    "is torn where it is read alone, and absent in a batch; the store counts as working",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        yield* store.writeMany([entry("a")], unasked)
        for (const value of [{}, { _tag: "Success", value: 1 }, { _tag: "Other" }, []]) {
          backing.stored.set("torn", value)
          assert.deepStrictEqual(yield* store.readMany(["torn"], unasked), [
            { _tag: "Torn", rule: "has not the form of a snapshot" },
          ])
          backing.stored.set("torn", value)
          assert.deepStrictEqual(yield* store.readMany(["a", "torn"], unasked), [found("a"), { _tag: "Absent" }])
          assert.isFalse(store.reads.isFailing)
        }
      }),
    ),
  )

  it.effect(
    "that its backend can not parse costs the others nothing: they are read one by one",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        yield* store.writeMany([entry("a"), entry("c")], unasked)
        backing.meet(({ ids }) =>
          ids.includes("b") ? Effect.fail(storeError(new SyntaxError("Unexpected token: secret"))) : Effect.void,
        )
        const torn = { _tag: "Torn" as const, rule: "is no JSON: torn or overwritten" }
        assert.deepStrictEqual(yield* store.readMany(["a", "b", "c"], unasked), [found("a"), torn, found("c")])
        assert.isFalse(store.reads.isFailing)
      }),
    ),
  )
})

describe("a store that fails", () => {
  it.effect(
    "is a value, with the error's code and never its message",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        const broken = Object.assign(new Error("secret"), { code: "ECONNREFUSED" })
        for (const [fault, rule] of [
          [outOfMemory, "the store failed (OOM)"],
          [Effect.fail(storeError(broken)), "the store failed (ECONNREFUSED)"],
          [Effect.fail(storeError("secret")), "the store failed"],
          [Effect.die(new Error("secret")), "the store failed"],
          [Effect.die("secret"), "the store failed"],
          [Effect.interrupt, "the store failed"],
        ] as const) {
          backing.meet(() => fault)
          assert.deepStrictEqual(yield* store.readMany(["a"], asked), [{ _tag: "Failed", rule }])
          assert.deepStrictEqual(yield* store.writeMany([entry("a")], asked), [rule])
          assert.deepStrictEqual(yield* store.removeMany(["a"], asked), [rule])
        }
      }),
    ),
  )

  it.effect(
    "is left alone for a while, longer each time, but not by whoever was asked for it",
    test(({ backing, store }) =>
      Effect.gen(function* () {
        backing.meet(() => outOfMemory)
        for (const pause of [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
          yield* store.readMany(["a"], unasked)
          assert.strictEqual(store.reads.pauseMillis, pause)
          const calls = backing.calls.length
          const [read] = yield* store.readMany(["a"], unasked)
          assert.deepInclude(read, { _tag: "Failed" })
          assert.lengthOf(backing.calls, calls)
          yield* TestClock.adjust(pause)
          assert.strictEqual(store.reads.pauseMillis, 0)
        }
        yield* store.readMany(["a"], unasked)
        const calls = backing.calls.length
        yield* store.readMany(["a"], asked)
        assert.lengthOf(backing.calls, calls + 1)
        backing.heal()
        yield* store.readMany(["a"], asked)
        assert.isFalse(store.reads.isFailing)
        assert.strictEqual(store.reads.pauseMillis, 0)
      }),
    ),
  )

  it.effect(
    "to write can still be read, and the other way round",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        backing.meet(({ operation }) => (operation === "setMany" ? outOfMemory : Effect.void))
        yield* store.writeMany([entry("a")], unasked)
        assert.deepStrictEqual([store.writes.isFailing, store.reads.isFailing], [true, false])
        assert.deepStrictEqual(yield* store.readMany(["a"], unasked), [{ _tag: "Absent" }])
        backing.meet(({ operation }) => (operation === "get" ? outOfMemory : Effect.void))
        yield* store.writeMany([entry("a")], asked)
        yield* store.readMany(["a"], unasked)
        assert.deepStrictEqual([store.writes.isFailing, store.reads.isFailing], [false, true])
      }),
    ),
  )

  it.effect(
    "for one entry's sake costs the others nothing: they are written one by one",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        backing.meet(({ ids }) => (ids.includes("b") ? outOfMemory : Effect.void))
        const written = yield* store.writeMany(
          ["a", "b", "c", "d"].map((id) => entry(id)),
          unasked,
        )
        assert.deepStrictEqual(written, [undefined, "the store failed (OOM)", undefined, undefined])
        assert.deepStrictEqual(Array.from(backing.stored.keys()), ["a", "c", "d"])
        assert.isFalse(store.writes.isFailing)
      }),
    ),
  )

  it.effect(
    "for three in a row is taken to fail altogether, and the next try begins with others",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        backing.meet(({ ids }) => (ids.some((id) => "abc".includes(id)) ? outOfMemory : Effect.void))
        const entries = Array.from("abcdef", (id) => entry(id))
        const first = yield* store.writeMany(entries, unasked)
        assert.lengthOf(
          first.filter((one) => one === undefined),
          0,
        )
        assert.isTrue(store.writes.isFailing)
        assert.lengthOf(backing.writes, 4)
        const second = yield* store.writeMany(entries, asked)
        assert.deepStrictEqual(
          second.map((one) => one === undefined),
          [false, false, false, true, true, true],
        )
      }),
    ),
  )
})

describe("a store that is slow", () => {
  it.effect(
    "has 2 s for a read and 5 s for a write or a removal, and is not tried one by one after that",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        backing.meet(() => Effect.never)
        for (const [effect, bound] of [
          [store.readMany(["a", "b"], asked), seconds(2)],
          [store.writeMany([entry("a"), entry("b")], asked), seconds(5)],
          [store.removeMany(["a", "b"], asked), seconds(5)],
        ] as const) {
          const calls = backing.calls.length
          const fiber = yield* begin<ReadonlyArray<unknown>, never, never>(effect)
          yield* TestClock.adjust(bound - 1)
          assertWaits(fiber)
          yield* TestClock.adjust(1)
          const outcomes = yield* answerAtOnce(Fiber.join(fiber))
          assert.include(JSON.stringify(outcomes), `did not answer within ${bound} ms`)
          assert.isAtMost(backing.calls.length - calls, 2)
        }
      }),
    ),
  )

  it.effect(
    "and can not be interrupted is waited for no longer, neither by the timeout nor by whoever gives up",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        backing.meet(() => Effect.uninterruptible(Effect.never))
        const read = yield* begin(store.readMany(["a"], asked))
        yield* TestClock.adjust("2 seconds")
        assert.deepInclude((yield* answerAtOnce(Fiber.join(read)))[0], { _tag: "Failed" })
        const write = yield* begin(store.writeMany([entry("a")], asked))
        yield* begin(Fiber.interrupt(write))
        assert.isDefined(write.pollUnsafe())
      }),
    ),
  )

  it.effect(
    "never writes one provider's text under another's key, though the first write is still under way",
    test(({ backing, entry, store }) =>
      Effect.gen(function* () {
        const gates: Array<Deferred.Deferred<void>> = []
        backing.meet(({ operation }) => {
          if (operation !== "get") return Effect.void
          const gate = Deferred.makeUnsafe<void>()
          gates.push(gate)
          return Effect.uninterruptible(Deferred.await(gate))
        })
        yield* store.writeMany([entry("a"), entry("b")], asked)
        const slow = yield* begin(store.readMany(["a"], asked))
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(slow)
        yield* store.writeMany(
          Array.from("cdefghij", (id) => entry(id)),
          asked,
        )
        for (const gate of gates) yield* Deferred.succeed(gate, undefined)
        yield* settle
        yield* store.writeMany(
          Array.from("klm", (id) => entry(id)),
          asked,
        )
        backing.heal()
        for (const id of "abcdefghijklm") {
          assert.deepStrictEqual(yield* store.readMany([id], asked), [found(id)])
        }
      }),
    ),
  )
})
