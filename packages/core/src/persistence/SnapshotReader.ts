/**
 * Reads snapshots in batches: whoever asks while a batch is under way is in the next one, which is read while
 * that is judged.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { batchCharacters, longText, type Read, type SnapshotStore, untriedRule } from "./SnapshotStore.ts"

/** One question. */
export interface Question {
  readonly id: string
  readonly answer: (read: Read) => void
}

/** Most texts of a batch, and of the first, when nobody knows yet how long they are. */
const maxBatch = 128
const firstBatch = 16

const untried: Read = { _tag: "Failed", rule: untriedRule }

export class SnapshotReader {
  readonly #store: SnapshotStore
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #queue: Array<Question> = []
  #isDraining = false
  #charactersRead = 0
  #textsRead = 0

  constructor(store: SnapshotStore, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#store = store
    this.#fork = fork
  }

  /** Asks in the background. Where the store answers at once, so does this. */
  ask(question: Question): void {
    this.#queue.push(question)
    this.#drainQueue()
  }

  #drainQueue(): void {
    if (this.#isDraining || this.#queue.length === 0) return
    this.#isDraining = true
    this.#fork(this.#drain(this.#queue, false))
  }

  /** Asks now, also while the store is left alone, and waits for every answer. */
  askAll(questions: ReadonlyArray<Question>): Effect.Effect<void> {
    return Effect.suspend(() => this.#drain(Array.from(questions), true))
  }

  readonly #drain = Effect.fnUntraced(function* (this: SnapshotReader, queue: Array<Question>, isUrgent: boolean) {
    for (let next = yield* this.#begin(queue, isUrgent); next !== undefined;) {
      const { batch, fiber } = next
      const reads = yield* Fiber.join(fiber)
      for (const read of reads) this.#count(read)
      // One batch that a store does not give is as good as all.
      if (this.#store.reads.isFailing) for (const { answer } of queue.splice(0)) answer(untried)
      next = yield* this.#begin(queue, isUrgent)
      // The store works while this batch is judged, as soon as it has been asked.
      if (next !== undefined) yield* Effect.yieldNow
      for (const [i, { answer }] of batch.entries()) {
        const read = reads[i] ?? { _tag: "Absent" }
        answer(read)
        if (read._tag === "Found" && read.text.length > longText) yield* Effect.yieldNow
      }
    }
  })

  /** Begins to read the next batch, if there is one. */
  #begin(queue: Array<Question>, isUrgent: boolean) {
    const batch = queue.splice(0, this.#batchSize)
    if (batch.length === 0) {
      // In the same step as the last look into the queue: nobody comes between them.
      if (queue === this.#queue) this.#isDraining = false
      return Effect.undefined
    }
    const ids = batch.map(({ id }) => id)
    return Effect.map(
      Effect.forkChild(this.#store.readMany(ids, { isUrgent }), { startImmediately: true }),
      (fiber) => ({
        batch,
        fiber,
      }),
    )
  }

  #count(read: Read): void {
    if (read._tag !== "Found") return
    this.#charactersRead += read.text.length
    this.#textsRead += 1
  }

  /** As many as fit, as far as those before tell. */
  get #batchSize(): number {
    if (this.#textsRead === 0) return firstBatch
    const average = this.#charactersRead / this.#textsRead
    return Math.max(1, Math.min(maxBatch, Math.floor(batchCharacters / average)))
  }
}
