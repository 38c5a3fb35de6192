/**
 * Writes and removes snapshots behind everybody's back: the latest wish for each provider, in batches, one
 * batch after the other, and again for as long as the store fails.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { SnapshotRule } from "./Snapshot.ts"
import { type SnapshotOwner, snapshotId } from "./SnapshotId.ts"
import { batchCharacters, longText, type SnapshotStore, type StoredText, type Written } from "./SnapshotStore.ts"

/** The text of a snapshot, or why there is none; `undefined` where it is of no use any more. */
export type WishedText = Result.Result<Omit<StoredText, "id"> | undefined, SnapshotRule>

/** What is to become of a provider's snapshot. */
export interface Wish {
  readonly owner: SnapshotOwner
  /** Makes the text, as late as can be. Without it, removal. */
  readonly text?: Effect.Effect<WishedText>
  /** Told once for every try that failed, and at the end without a rule. */
  readonly report: (written: Written, isOver: boolean) => void
}

/** A wish in the queue. */
interface Pending extends Wish {
  readonly id: string
  /** Tries that failed although others had succeeded since the one before. */
  attempts: number
  /** How many had been fulfilled when it was tried last. */
  triedAt: number | undefined
  /** Who waits for the end of this wish, or of one that takes its place. */
  readonly waiters: Array<(written: Written) => void>
}

/** Most entries of a batch. */
const batchEntries = 128

/** What can not be written so often, while others can, waits for its next refresh. */
const maxAttempts = 3

export class SnapshotWriter {
  readonly #store: SnapshotStore
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #pending = new Map<string, Pending>()
  /** Those of the batch that is under way. */
  readonly #underWay = new Map<string, Pending>()
  readonly #one = Semaphore.makeUnsafe(1)
  /** Wishes that were fulfilled. */
  #successes = 0
  #isDraining = false
  #isClosed = false

  constructor(store: SnapshotStore, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#store = store
    this.#fork = fork
  }

  /** Wishes that are not fulfilled yet. */
  get unwritten(): number {
    return this.#pending.size + this.#underWay.size
  }

  /** Whether a snapshot is to be removed: what the store still says of it does not count. */
  isToBeRemoved(id: string): boolean {
    const wish = this.#pending.get(id) ?? this.#underWay.get(id)
    return wish !== undefined && wish.text === undefined
  }

  /** Takes a wish; it takes the place of an earlier one for the same provider. */
  put(wish: Wish): void {
    this.#enqueue(wish, [])
    this.#drainLater()
  }

  /** Takes wishes and fulfils them now, also while the store is left alone; what became of each. */
  putAll(wishes: ReadonlyArray<Wish>): Effect.Effect<ReadonlyArray<Written>> {
    return Effect.suspend(() => {
      const outcomes: Array<Written> = wishes.map(() => "was not tried: the store failed before its turn")
      wishes.forEach((wish, i) => this.#enqueue(wish, [(written) => (outcomes[i] = written)]))
      return Effect.as(this.#drainNow, outcomes)
    }).pipe(Effect.ensuring(Effect.sync(() => this.#drainLater())))
  }

  /** Writes what is unwritten, until the store fails; nothing is taken afterwards. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#isClosed = true
    // The batch that is under way may still bring something back.
    return Effect.andThen(this.#one.withPermits(1)(Effect.void), this.#drainNow)
  })

  #enqueue(wish: Wish, waiters: ReadonlyArray<(written: Written) => void>): void {
    if (this.#isClosed) return
    const id = snapshotId(wish.owner)
    const before = this.#pending.get(id)
    this.#pending.set(id, {
      ...wish,
      id,
      attempts: 0,
      triedAt: undefined,
      waiters: [...(before?.waiters ?? []), ...waiters],
    })
  }

  #drainLater(): void {
    if (this.#isDraining || this.#isClosed || this.#pending.size === 0) return
    this.#isDraining = true
    this.#fork(
      // Whoever waits for the flight that brought the set is answered first.
      Effect.yieldNow.pipe(
        Effect.andThen(this.#drain),
        Effect.ensuring(Effect.sync(() => (this.#isDraining = false))),
        // What was wished for after the last look into the queue.
        Effect.andThen(Effect.sync(() => this.#drainLater())),
      ),
    )
  }

  readonly #drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    while (this.#pending.size > 0) {
      yield* Effect.sleep(this.#store.writes.pauseMillis)
      if (this.#isClosed) return
      yield* this.#batch(false)
    }
  })

  /** Every wish once, until the store fails. */
  readonly #drainNow: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    for (let left = this.#pending.size; left > 0 && this.#pending.size > 0;) {
      left -= yield* this.#batch(true)
      if (this.#store.writes.isFailing) return
    }
  })

  /** One batch, which nobody else's comes across; how many wishes it tried. */
  #batch(isUrgent: boolean): Effect.Effect<number> {
    return this.#one.withPermits(1)(
      Effect.suspend(() => this.#fulfil(isUrgent)).pipe(
        // Interrupted: what has not been written is still to be.
        Effect.ensuring(Effect.sync(() => this.#giveBack())),
      ),
    )
  }

  readonly #fulfil = Effect.fnUntraced(function* (this: SnapshotWriter, isUrgent: boolean) {
    const writes: Array<{ readonly wish: Pending; readonly stored: StoredText }> = []
    const removals: Array<Pending> = []
    let characters = 0
    let tried = 0
    // Taken in one step: while texts are made, newer wishes may come for the same providers.
    for (const wish of this.#take()) {
      if (characters >= batchCharacters) {
        this.#underWay.delete(wish.id)
        this.#putBack(wish)
        continue
      }
      tried++
      if (wish.text === undefined) {
        removals.push(wish)
        continue
      }
      const text = yield* wish.text
      if (Result.isFailure(text)) {
        this.#end(wish, text.failure.rule)
      } else if (text.success === undefined) {
        // What is stored is of even less use.
        removals.push(wish)
      } else {
        characters += text.success.text.length
        if (text.success.text.length > longText) yield* Effect.yieldNow
        writes.push({ wish, stored: { id: wish.id, ...text.success } })
      }
    }
    // Removals first: a store that is full still takes them.
    const removed = yield* this.#store.removeMany(
      removals.map(({ id }) => id),
      { isUrgent },
    )
    removals.forEach((wish, i) => this.#settle(wish, removed[i]))
    const written = yield* this.#store.writeMany(
      writes.map(({ stored }) => stored),
      { isUrgent },
    )
    writes.forEach(({ wish }, i) => this.#settle(wish, written[i]))
    return tried
  })

  #take(): ReadonlyArray<Pending> {
    const batch: Array<Pending> = []
    for (const wish of this.#pending.values()) {
      if (batch.length === batchEntries) break
      batch.push(wish)
      this.#pending.delete(wish.id)
      this.#underWay.set(wish.id, wish)
    }
    return batch
  }

  #settle(wish: Pending, written: Written): void {
    if (written === undefined) {
      this.#successes += 1
      return this.#end(wish, undefined)
    }
    // Others were written since it was tried last: it is this one that can not be.
    if (wish.triedAt !== undefined && wish.triedAt < this.#successes) wish.attempts += 1
    wish.triedAt = this.#successes
    if (wish.attempts >= maxAttempts) return this.#end(wish, written)
    for (const waiter of wish.waiters.splice(0)) waiter(written)
    wish.report(written, false)
    this.#underWay.delete(wish.id)
    this.#putBack(wish)
  }

  #end(wish: Pending, written: Written): void {
    this.#underWay.delete(wish.id)
    for (const waiter of wish.waiters.splice(0)) waiter(written)
    wish.report(written, true)
  }

  /** To the end of the queue, unless something newer is there already. */
  #putBack(wish: Pending): void {
    const newer = this.#pending.get(wish.id)
    if (newer === undefined) this.#pending.set(wish.id, wish)
    else newer.waiters.push(...wish.waiters)
  }

  #giveBack(): void {
    for (const wish of this.#underWay.values()) this.#putBack(wish)
    this.#underWay.clear()
  }
}
