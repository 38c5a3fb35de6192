import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { SnapshotReader } from "../../src/persistence/SnapshotReader.ts"
import type { Read } from "../../src/persistence/SnapshotStore.ts"
import { answerAtOnce, begin, settle, withRandom } from "../rules/support.ts"
import { outOfMemory, openScripted } from "./scriptedStore.ts"

const open = Effect.fnUntraced(function* () {
  const { backing, fork, politely, store } = yield* openScripted()
  const reader = new SnapshotReader(store, fork)
  /** One whose fibers let others run after so many steps. */
  const politeReader = (steps: number) => new SnapshotReader(store, politely(steps))
  const answers = new Map<string, Read>()
  const question = (id: string) => ({
    id,
    answer: (read: Read) => void answers.set(id, read),
  })
  const put = (id: string, text = `text of ${id}`) => void backing.stored.set(id, { _tag: "Success", value: text })
  return {
    backing,
    store,
    reader,
    politeReader,
    answers,
    question,
    put,
    batches: () => backing.reads.map(({ ids }) => ids.length),
  }
})

const test = (body: (world: Effect.Success<ReturnType<typeof open>>) => Effect.Effect<unknown, unknown>) => () =>
  Effect.scoped(Effect.flatMap(open(), body)).pipe(withRandom(0.5))

const names = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`)

describe("a question", () => {
  it.effect(
    "is answered before it returns, where the store answers at once",
    test(({ answers, put, question, reader }) =>
      Effect.sync(() => {
        put("a")
        reader.ask(question("a"))
        assert.deepStrictEqual(answers.get("a"), { _tag: "Found", text: "text of a" })
      }),
    ),
  )

  it.effect(
    "that comes while a batch is under way is in the next one, with all others",
    test(({ answers, backing, batches, put, question, reader }) =>
      Effect.gen(function* () {
        for (const name of names(40)) put(name)
        const release = backing.hold("get", "getMany")
        for (const name of names(40)) reader.ask(question(name))
        yield* settle
        assert.deepStrictEqual(batches(), [1])
        yield* release
        yield* settle
        assert.deepStrictEqual(batches(), [1, 39])
        for (const name of names(40)) {
          assert.deepStrictEqual(answers.get(name), { _tag: "Found", text: `text of ${name}` })
        }
      }),
    ),
  )

  it.effect(
    "is never forgotten, whenever it comes",
    test(({ answers, politeReader, question }) =>
      Effect.gen(function* () {
        for (const steps of Array.from({ length: 40 }, (_, i) => 16 + i)) {
          for (let turns = 0; turns < 6; turns++) {
            const reader = politeReader(steps)
            reader.ask(question("early"))
            for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
            const late = `late-${steps}-${turns}`
            reader.ask(question(late))
            yield* settle
            yield* settle
            assert.isTrue(answers.has(late), `${steps} steps, after ${turns} turns`)
          }
        }
      }),
    ),
  )

  it.effect(
    "that the store does not answer is answered after 2 s, and the next ones at once",
    test(({ answers, backing, question, reader, store }) =>
      Effect.gen(function* () {
        backing.meet(() => Effect.uninterruptible(Effect.never))
        reader.ask(question("a"))
        reader.ask(question("b"))
        yield* TestClock.adjust("2 seconds")
        const rules = ["a", "b"].map((id) => answers.get(id))
        assert.deepStrictEqual(rules[0], { _tag: "Failed", rule: "the store did not answer within 2000 ms" })
        assert.deepInclude(rules[1], { _tag: "Failed" })
        const calls = backing.calls.length
        reader.ask(question("c"))
        assert.deepInclude(answers.get("c"), { _tag: "Failed" })
        assert.lengthOf(backing.calls, calls)
        backing.heal()
        yield* TestClock.adjust(store.reads.pauseMillis)
        reader.ask(question("d"))
        assert.deepStrictEqual(answers.get("d"), { _tag: "Absent" })
      }),
    ),
  )
})

describe("questions that come together", () => {
  it.effect(
    "are read in batches that stay within their limits, one after the other",
    test(({ backing, batches, put, question, reader }) =>
      Effect.gen(function* () {
        for (const name of names(1_000)) put(name)
        const release = backing.hold("getMany")
        const all = yield* begin(reader.askAll(names(1_000).map(question)))
        assert.deepStrictEqual(batches(), [16])
        yield* release
        yield* answerAtOnce(Fiber.join(all))
        assert.isAtMost(Math.max(...batches()), 128)
        assert.isAtMost(batches().length, 11)
        assert.strictEqual(
          batches().reduce((sum, size) => sum + size),
          1_000,
        )
      }),
    ),
  )

  it.effect(
    "are answered while the next batch is read",
    test(({ batches, put, question, reader }) =>
      Effect.gen(function* () {
        for (const name of names(100)) put(name)
        const begun: Array<number> = []
        const questions = names(100).map(question)
        yield* reader.askAll(
          questions.map((one) => ({
            ...one,
            answer: (read) => {
              one.answer(read)
              begun.push(batches().length)
            },
          })),
        )
        assert.deepStrictEqual(batches(), [16, 84])
        assert.deepStrictEqual(Array.from(new Set(begun)), [2])
      }),
    ),
  )

  it.effect(
    "of long texts are read in batches of about 4 MiB",
    test(({ batches, put, question, reader }) =>
      Effect.gen(function* () {
        for (const name of names(200)) put(name, "x".repeat(500_000))
        yield* reader.askAll(names(200).map(question))
        // Of the first nobody knows.
        assert.isAtMost(Math.max(...batches().slice(1)), 8)
      }),
    ),
  )

  it.effect(
    "are read also while the store is left alone, by whoever was asked for it",
    test(({ answers, backing, put, question, reader }) =>
      Effect.gen(function* () {
        put("a")
        backing.meet(() => outOfMemory)
        reader.ask(question("a"))
        assert.deepStrictEqual(answers.get("a"), { _tag: "Failed", rule: "the store failed (OOM)" })
        backing.heal()
        yield* reader.askAll([question("a")])
        assert.deepInclude(answers.get("a"), { _tag: "Found" })
      }),
    ),
  )
})
