import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { type SnapshotOwner, snapshotId } from "../../src/persistence/SnapshotId.ts"
import { SnapshotWriter, type WishedText } from "../../src/persistence/SnapshotWriter.ts"
import { answerAtOnce, assertWaits, begin, settle, withRandom } from "../rules/support.ts"
import { outOfMemory, openScripted } from "./scriptedStore.ts"

const ownerOf = (provider: string): SnapshotOwner => ({ tenant: "acme", provider })

const idOf = (provider: string): string => snapshotId(ownerOf(provider))

const open = Effect.fnUntraced(function* () {
  const { backing, fork, politely, store } = yield* openScripted()
  const writer = new SnapshotWriter(store, fork)
  /** One whose fibers let others run after so many steps. */
  const politeWriter = (steps: number) => new SnapshotWriter(store, politely(steps))
  const reports: Array<readonly [string, "write" | "remove", string | undefined]> = []
  const report = (provider: string) => (operation: "write" | "remove", written: string | undefined) =>
    void reports.push([provider, operation, written])
  const wish = (provider: string, text: WishedText) => ({
    id: idOf(provider),
    report: report(provider),
    text: () => text,
  })
  const textWish = (provider: string, text = `text of ${provider}`) =>
    wish(provider, Result.succeed({ text, timeToLive: 60_000 }))
  const removal = (provider: string) => ({ id: idOf(provider), report: report(provider) })
  const batches = (operation: "setMany" | "remove") => backing.made(operation).map(({ ids }) => ids.length)
  return {
    backing,
    store,
    writer,
    politeWriter,
    reports,
    wish,
    textWish,
    removal,
    batches,
    textOf: (p: string) => backing.textOf(ownerOf(p)),
  }
})

/** Half of each delay: 0.5 s, 1 s, 2 s, ... */
const test = (body: (world: Effect.Success<ReturnType<typeof open>>) => Effect.Effect<unknown, unknown>) => () =>
  Effect.scoped(Effect.flatMap(open(), body)).pipe(withRandom(0.5))

const names = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`)

describe("wishes", () => {
  it.effect(
    "are fulfilled in the background, not on the fiber that has them",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        writer.put(textWish("a"))
        assert.isEmpty(backing.calls)
        assert.strictEqual(writer.unwritten, 1)
        yield* settle
        assert.strictEqual(textOf("a"), "text of a")
        assert.strictEqual(writer.unwritten, 0)
      }),
    ),
  )

  it.effect(
    "for one provider: only the latest is written",
    test(({ backing, reports, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        for (const i of [1, 2, 3]) writer.put(textWish("a", `${i}`))
        yield* settle
        assert.strictEqual(textOf("a"), "3")
        assert.lengthOf(backing.writes, 1)
        assert.deepStrictEqual(reports, [["a", "write", undefined]])
      }),
    ),
  )

  it.effect(
    "that come while a batch is under way wait for it, and only the latest is written",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        const release = backing.hold("setMany")
        writer.put(textWish("a", "1"))
        yield* settle
        for (const i of [2, 3, 4]) writer.put(textWish("a", `${i}`))
        yield* settle
        assert.lengthOf(backing.writes, 1)
        yield* release
        yield* settle
        assert.lengthOf(backing.writes, 2)
        assert.strictEqual(textOf("a"), "4")
      }),
    ),
  )

  it.effect(
    "go in batches of 128, one after the other, in their order",
    test(({ backing, batches, textWish, writer }) =>
      Effect.gen(function* () {
        const release = backing.hold("setMany")
        for (const name of names(300)) writer.put(textWish(name))
        yield* settle
        assert.deepStrictEqual(batches("setMany"), [128])
        yield* release
        yield* settle
        assert.deepStrictEqual(batches("setMany"), [128, 128, 44])
        assert.deepStrictEqual(
          backing.writes.flatMap(({ ids }) => ids),
          names(300).map((name) => idOf(name)),
        )
      }),
    ),
  )

  it.effect(
    "go in batches of about 4 MiB",
    test(({ backing, batches, textWish, writer }) =>
      Effect.gen(function* () {
        for (const name of names(10)) writer.put(textWish(name, "x".repeat(1_500_000)))
        yield* settle
        assert.deepStrictEqual(batches("setMany"), [3, 3, 3, 1])
        assert.deepStrictEqual(
          backing.writes.flatMap(({ ids }) => ids),
          names(10).map(idOf),
          "in their order",
        )
      }),
    ),
  )

  it.effect(
    "for removal come after what is being written, and hold for what was to be written",
    test(({ backing, removal, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        const release = backing.hold("setMany")
        writer.put(textWish("a"))
        yield* settle
        writer.put(textWish("a", "newer"))
        writer.put(removal("a"))
        assert.isTrue(writer.isToBeRemoved(idOf("a")))
        yield* release
        yield* settle
        assert.isUndefined(textOf("a"))
        assert.lengthOf(backing.writes, 1)
        assert.lengthOf(backing.removals, 1)
        assert.isFalse(writer.isToBeRemoved(idOf("a")))
      }),
    ),
  )

  it.effect(
    "to write take the place of a removal",
    test(({ backing, removal, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        writer.put(removal("a"))
        writer.put(textWish("a"))
        assert.isFalse(writer.isToBeRemoved(idOf("a")))
        yield* settle
        assert.strictEqual(textOf("a"), "text of a")
        assert.isEmpty(backing.removals)
      }),
    ),
  )

  it.effect(
    "that can have no text remove what is stored: it is older, and of even less use",
    test(({ backing, reports, textOf, textWish, wish, writer }) =>
      Effect.gen(function* () {
        for (const name of ["refused", "useless"]) {
          writer.put(textWish(name))
          yield* settle
        }
        writer.put(wish("refused", Result.fail({ rule: "is too large" })))
        writer.put(wish("useless", Result.succeed(undefined)))
        yield* settle
        assert.deepStrictEqual(reports.slice(2), [
          ["refused", "write", "is too large"],
          ["refused", "remove", undefined],
          ["useless", "remove", undefined],
        ])
        for (const name of ["refused", "useless"]) assert.isUndefined(textOf(name))
        assert.lengthOf(backing.writes, 2)
        assert.strictEqual(writer.unwritten, 0)
      }),
    ),
  )

  it.effect(
    "are never forgotten, whenever they come",
    test(({ politeWriter, textOf, textWish }) =>
      Effect.gen(function* () {
        for (let steps = 8; steps < 40; steps++) {
          for (let turns = 0; turns < 12; turns++) {
            const writer = politeWriter(steps)
            writer.put(textWish("early"))
            for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
            const late = `late-${steps}-${turns}`
            writer.put(textWish(late))
            for (let i = 0; i < 4; i++) yield* settle
            assert.strictEqual(textOf(late), `text of ${late}`, `${steps} steps, after ${turns} turns`)
          }
        }
      }),
    ),
  )
})

describe("where the store fails", () => {
  it.effect(
    "wishes stay, and are fulfilled when it works again: the latest of each",
    test(({ backing, reports, store, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(() => outOfMemory)
        writer.put(textWish("a", "1"))
        yield* settle
        assert.strictEqual(writer.unwritten, 1)
        writer.put(textWish("a", "2"))
        writer.put(textWish("b"))
        yield* TestClock.adjust("10 seconds")
        assert.isEmpty(backing.stored)
        assert.isTrue(reports.every(([, , written]) => written !== undefined))
        backing.heal()
        yield* TestClock.adjust("60 seconds")
        assert.deepStrictEqual([textOf("a"), textOf("b")], ["2", "text of b"])
        assert.isFalse(store.writes.isFailing)
        assert.strictEqual(writer.unwritten, 0)
      }),
    ),
  )

  it.effect(
    "it is not asked again before its pause is over",
    test(({ backing, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(() => outOfMemory)
        writer.put(textWish("a"))
        yield* settle
        const made: Array<number> = []
        for (const wait of [499, 1, 999, 1, 1_999, 1]) {
          yield* TestClock.adjust(wait)
          writer.put(textWish("b"))
          yield* settle
          made.push(backing.writes.length)
        }
        const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0] = made
        assert.strictEqual(first, 1)
        assert.strictEqual(second, third)
        assert.strictEqual(fourth, fifth)
        assert.isTrue(first < second && third < fourth && fifth < sixth, made.join())
      }),
    ),
  )

  it.effect(
    "for one entry's sake, it is given up after three tries while the others go through, until its next wish",
    test(({ backing, reports, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        const poison = idOf("poison")
        backing.meet(({ ids }) => (ids.includes(poison) ? outOfMemory : Effect.void))
        writer.put(textWish("poison"))
        for (const name of names(20)) {
          writer.put(textWish(name))
          yield* TestClock.adjust("2 minutes")
          assert.strictEqual(textOf(name), `text of ${name}`)
        }
        const tries = reports.filter(([provider]) => provider === "poison")
        assert.isAtLeast(tries.length, 3)
        assert.strictEqual(writer.unwritten, 0)
        backing.heal()
        writer.put(textWish("poison"))
        yield* settle
        assert.strictEqual(textOf("poison"), "text of poison")
      }),
    ),
  )

  it.effect(
    "for many entries' sake, the others go through all the same, wherever they stand",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(({ ids }) => (ids.some((id) => id.startsWith("acme.poison")) ? outOfMemory : Effect.void))
        for (const name of [...names(8).map((name) => `poison-${name}`), ...names(5)]) writer.put(textWish(name))
        yield* TestClock.adjust("10 minutes")
        for (const name of names(5)) assert.strictEqual(textOf(name), `text of ${name}`)
      }),
    ),
  )

  it.effect(
    "to write, it still removes: a full one gets room",
    test(({ backing, removal, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        writer.put(textWish("b"))
        yield* settle
        backing.meet(({ operation }) => (operation === "remove" ? Effect.void : outOfMemory))
        writer.put(textWish("a"))
        yield* settle
        writer.put(removal("b"))
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(textOf("b"))
        assert.strictEqual(writer.unwritten, 1)
      }),
    ),
  )

  it.effect(
    "or never answers, the wishes of the batch are tried again",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(() => Effect.uninterruptible(Effect.never))
        writer.put(textWish("a"))
        yield* TestClock.adjust("5 seconds")
        backing.heal()
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(textOf("a"), "text of a")
      }),
    ),
  )
})

describe("where the store does one kind alone", () => {
  it.effect(
    "a removal that it refuses holds up no write, is tried again with longer pauses, and never given up",
    test(({ backing, removal, reports, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        writer.put(textWish("gone"))
        yield* settle
        backing.meet(({ operation }) => (operation === "remove" ? outOfMemory : Effect.void))
        writer.put(removal("gone"))
        for (const name of names(30)) {
          writer.put(textWish(name))
          yield* settle
          assert.strictEqual(textOf(name), `text of ${name}`)
          yield* TestClock.adjust("1 minute")
        }
        assert.isAtMost(backing.removals.length, 70)
        assert.strictEqual(writer.unwritten, 1)
        assert.isTrue(writer.isToBeRemoved(idOf("gone")))
        backing.heal()
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(textOf("gone"))
        assert.deepStrictEqual(reports.at(-1), ["gone", "remove", undefined])
      }),
    ),
  )

  it.effect(
    "a write that it refuses is not given up for the sake of removals that it takes",
    test(({ backing, removal, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(({ operation }) => (operation === "remove" ? Effect.void : outOfMemory))
        writer.put(textWish("a"))
        for (const name of names(10)) {
          writer.put(removal(name))
          yield* TestClock.adjust("2 minutes")
        }
        backing.heal()
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(textOf("a"), "text of a")
      }),
    ),
  )
})

describe("a write that was given up", () => {
  for (const [then, expected] of [
    ["write", "2"],
    ["removal", undefined],
  ] as const) {
    it.effect(
      `and lands all the same is undone, where a ${then} came after it`,
      test(({ backing, removal, textOf, textWish, writer }) =>
        Effect.gen(function* () {
          const gate = Deferred.makeUnsafe<void>()
          const landing = Effect.andThen(
            Deferred.await(gate),
            Effect.sync(() => backing.put(ownerOf("a"), "1")),
          )
          backing.meet(({ operation }) => (operation === "setMany" ? Effect.uninterruptible(landing) : Effect.void))
          writer.put(textWish("a", "1"))
          yield* TestClock.adjust("5 seconds")
          backing.heal()
          writer.put(then === "write" ? textWish("a", "2") : removal("a"))
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(writer.unwritten, 0)
          assert.strictEqual(textOf("a"), expected)
          yield* Deferred.succeed(gate, undefined)
          yield* settle
          assert.strictEqual(textOf("a"), expected)
          const calls = backing.calls.length
          yield* TestClock.adjust("1 minute")
          assert.lengthOf(backing.calls, calls)
        }),
      ),
    )
  }

  it.effect(
    "and lands while a later one is under way is followed by that once more",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        const gates = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>()] as const
        let calls = 0
        backing.meet(() => {
          const call = calls++
          const gate = gates[call]
          if (gate === undefined) return Effect.void
          // The later one is there first, though its answer comes last.
          if (call === 1) backing.put(ownerOf("a"), "2")
          const landing = Effect.sync(() => backing.put(ownerOf("a"), "1"))
          return Effect.uninterruptible(
            call === 0 ? Effect.andThen(Deferred.await(gate), landing) : Deferred.await(gate),
          )
        })
        writer.put(textWish("a", "1"))
        yield* TestClock.adjust("5 seconds")
        writer.put(textWish("a", "2"))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(calls, 2)
        yield* Deferred.succeed(gates[0], undefined)
        yield* settle
        assert.strictEqual(textOf("a"), "1")
        yield* Deferred.succeed(gates[1], undefined)
        yield* settle
        assert.strictEqual(textOf("a"), "2")
        assert.strictEqual(calls, 3)
      }),
    ),
  )
})

describe("while something may still undo it", () => {
  it.effect(
    "a removal counts as not done, though it was",
    test(({ backing, removal, textWish, writer }) =>
      Effect.gen(function* () {
        const gate = Deferred.makeUnsafe<void>()
        backing.meet(({ operation }) =>
          operation === "setMany" ? Effect.uninterruptible(Deferred.await(gate)) : Effect.void,
        )
        writer.put(textWish("a"))
        yield* TestClock.adjust("5 seconds")
        writer.put(removal("a"))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(writer.unwritten, 0)
        assert.isTrue(writer.isToBeRemoved(idOf("a")))
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.isFalse(writer.isToBeRemoved(idOf("a")))
        assert.lengthOf(backing.removals, 2)
      }),
    ),
  )

  it.effect(
    "such as a read, at whose end a store removes what it finds too old, it is done again",
    test(({ backing, store, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        const release = backing.hold("get")
        const reading = yield* begin(store.readMany([idOf("a")], { isUrgent: true }))
        writer.put(textWish("a"))
        yield* settle
        assert.strictEqual(textOf("a"), "text of a")
        backing.stored.clear()
        yield* release
        yield* Fiber.join(reading)
        yield* settle
        assert.strictEqual(textOf("a"), "text of a")
        assert.lengthOf(backing.writes, 2)
      }),
    ),
  )
})

describe("putAll", () => {
  it.effect(
    "tells of what was written, also where somebody else's batch was in line for it",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(() => Effect.never)
        writer.put(textWish("a"))
        const first = yield* begin(writer.putAll([textWish("b")]))
        const second = yield* begin(writer.putAll([textWish("a", "2"), textWish("b", "2")]))
        yield* TestClock.adjust("4 seconds")
        backing.heal()
        yield* TestClock.adjust("1 second")
        yield* answerAtOnce(Fiber.join(first))
        const outcomes = yield* answerAtOnce(Fiber.join(second))
        const isWritten = [textOf("a"), textOf("b")].map((text) => text === "2")
        assert.deepStrictEqual(
          outcomes.map((written) => written === undefined),
          isWritten,
        )
      }),
    ),
  )

  it.effect(
    "after the end says so",
    test(({ textWish, writer }) =>
      Effect.gen(function* () {
        yield* writer.close
        assert.deepStrictEqual(yield* writer.putAll([textWish("a")]), ["the registry is closed"])
      }),
    ),
  )

  it.effect(
    "waits for every wish and says what became of each, also while the store is left alone",
    test(({ backing, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(() => outOfMemory)
        writer.put(textWish("a"))
        yield* settle
        const bad = idOf("bad")
        backing.meet(({ ids }) => (ids.includes(bad) ? outOfMemory : Effect.void))
        const wishes = [...names(200), "bad"].map((name) => textWish(name))
        const outcomes = yield* answerAtOnce(writer.putAll(wishes))
        assert.lengthOf(
          outcomes.filter((written) => written === undefined),
          200,
        )
        assert.strictEqual(outcomes.at(-1), "the store failed (OOM)")
      }),
    ),
  )

  it.effect(
    "waits for the batch of somebody else that has its wish",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        const release = backing.hold("setMany")
        writer.put(textWish("a", "1"))
        yield* settle
        const all = yield* begin(writer.putAll([textWish("a", "2")]))
        assertWaits(all)
        yield* release
        assert.deepStrictEqual(yield* answerAtOnce(Fiber.join(all)), [undefined])
        assert.strictEqual(textOf("a"), "2")
      }),
    ),
  )

  it.effect(
    "that is interrupted gives its wishes back: they are written later",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        // Nobody tries in the background while the store is left alone.
        backing.meet(() => outOfMemory)
        writer.put(textWish("a"))
        yield* settle
        const release = backing.hold("setMany")
        const all = yield* begin(writer.putAll([textWish("a"), textWish("b")]))
        assertWaits(all)
        yield* Fiber.interrupt(all)
        assert.strictEqual(writer.unwritten, 2)
        yield* release
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual([textOf("a"), textOf("b")], ["text of a", "text of b"])
      }),
    ),
  )

  it.effect(
    "stops where the store fails, and says so of the rest",
    test(({ backing, batches, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(() => Effect.never)
        const all = yield* begin(writer.putAll(names(400).map((name) => textWish(name))))
        yield* TestClock.adjust("5 seconds")
        const outcomes = yield* answerAtOnce(Fiber.join(all))
        assert.deepStrictEqual(batches("setMany").slice(0, 1), [128])
        assert.strictEqual(outcomes[0], "the store did not answer within 5000 ms")
        assert.strictEqual(outcomes[399], "was not tried: the store failed before its turn")
      }),
    ),
  )
})

describe("close", () => {
  it.effect(
    "waits for the batch that is under way",
    test(({ backing, textOf, textWish, writer }) =>
      Effect.gen(function* () {
        const release = backing.hold("setMany")
        writer.put(textWish("a"))
        yield* settle
        const closing = yield* begin(writer.close)
        assertWaits(closing)
        yield* release
        yield* answerAtOnce(Fiber.join(closing))
        assert.strictEqual(textOf("a"), "text of a")
        assert.strictEqual(writer.unwritten, 0)
      }),
    ),
  )

  it.effect(
    "writes what is unwritten, and takes nothing afterwards",
    test(({ textOf, textWish, writer }) =>
      Effect.gen(function* () {
        for (const name of names(200)) writer.put(textWish(name))
        yield* answerAtOnce(writer.close)
        assert.strictEqual(textOf("p199"), "text of p199")
        writer.put(textWish("late"))
        yield* settle
        assert.isUndefined(textOf("late"))
        assert.strictEqual(writer.unwritten, 0)
      }),
    ),
  )

  it.effect(
    "leaves to be counted what a store that fails does not take",
    test(({ backing, textWish, writer }) =>
      Effect.gen(function* () {
        backing.meet(() => outOfMemory)
        for (const name of names(200)) writer.put(textWish(name))
        yield* answerAtOnce(writer.close)
        assert.strictEqual(writer.unwritten, 200)
      }),
    ),
  )
})
