/**
 * Reads snapshots in batches: whoever asks while a batch is under way is in the next one.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { batchCharacters, longText, type Read, type SnapshotStore } from "./SnapshotStore.ts"

/** One question. */
export interface Question {
  readonly id: string
  readonly answer: (read: Read) => Effect.Effect<void>
}

/** Most texts of a batch, and of the first, when nobody knows yet how long they are. */
const maxBatch = 128
const firstBatch = 64

/** Batches under way at a time: one is read while another is judged. */
const pipelined = 2

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
    this.#fork(
      Effect.andThen(
        Effect.ensuring(
          this.#drain(this.#queue, false),
          Effect.sync(() => (this.#isDraining = false)),
        ),
        // Whoever came after the last look into the queue.
        Effect.sync(() => this.#drainQueue()),
      ),
    )
  }

  /** Asks now, also while the store is left alone, and waits for every answer. */
  askAll(questions: ReadonlyArray<Question>): Effect.Effect<void> {
    return Effect.suspend(() => this.#drain(Array.from(questions), true))
  }

  #drain(queue: Array<Question>, isUrgent: boolean): Effect.Effect<void> {
    const worker = Effect.gen({ self: this }, function* () {
      while (queue.length > 0) {
        const batch = queue.splice(0, this.#batchSize)
        const reads = yield* this.#store.readMany(
          batch.map(({ id }) => id),
          { isUrgent },
        )
        for (const [i, { answer }] of batch.entries()) {
          const read = reads[i] ?? { _tag: "Absent" }
          if (read._tag === "Found") {
            this.#charactersRead += read.text.length
            this.#textsRead += 1
          }
          yield* answer(read)
          if (read._tag === "Found" && read.text.length > longText) yield* Effect.yieldNow
        }
      }
    })
    // A fiber of its own for each would put off what one batch can do at once.
    return Effect.suspend(() =>
      queue.length <= this.#batchSize
        ? worker
        : Effect.all(
            Array.from({ length: pipelined }, () => worker),
            { concurrency: pipelined, discard: true },
          ),
    )
  }

  /** As many as fit, as far as those before tell. */
  get #batchSize(): number {
    if (this.#textsRead === 0) return firstBatch
    const average = this.#charactersRead / this.#textsRead
    return Math.max(1, Math.min(maxBatch, Math.floor(batchCharacters / average)))
  }
}
