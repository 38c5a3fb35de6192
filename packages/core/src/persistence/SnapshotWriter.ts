/**
 * Writes and removes snapshots behind everybody's back: the latest wish for each provider, in batches, one
 * batch after the other, and again for as long as the store fails. Writes and removals wait in lanes of their
 * own, so that a store which refuses one kind still does the other.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { SnapshotRule } from "./Snapshot.ts"
import {
  batchCharacters,
  longText,
  type SnapshotStore,
  type StoredText,
  untriedRule,
  type Written,
} from "./SnapshotStore.ts"
import type { StoreHealth } from "./StoreHealth.ts"

/** The text of a snapshot, or why there is none; `undefined` where it is of no use any more. */
export type WishedText = Result.Result<Omit<StoredText, "id"> | undefined, SnapshotRule>

/** What is to become of a provider's snapshot. */
export interface Wish {
  readonly id: string
  /** Makes the text, as late as can be. Without it, removal. */
  readonly text?: () => WishedText
  /** Told once for every try that failed, and at the end without a rule. */
  readonly report: (operation: "write" | "remove", written: Written) => void
}

/** A wish in a lane. */
interface Pending extends Wish {
  /** Tries that failed although others had succeeded since the one before. */
  attempts: number
  /** How many had been fulfilled when it was tried last. */
  triedAt: number | undefined
  /** An operation that was given up has ended while this one was under way: nobody knows which was first. */
  isCrossed: boolean
  /** Who waits for the end of this wish, or of one that takes its place. */
  readonly waiters: Array<(written: Written) => void>
}

/** Wishes of one kind, in their order. */
class Lane {
  readonly operation: "write" | "remove"
  readonly health: StoreHealth
  readonly pending = new Map<string, Pending>()
  /** Wishes that were fulfilled. */
  successes = 0
  isDraining = false

  constructor(operation: "write" | "remove", health: StoreHealth) {
    this.operation = operation
    this.health = health
  }
}

/** Of a text that could not be made, by a bug of ours: the others must not suffer from it. */
const unwritable: SnapshotRule = { rule: "can not be written" }

/** Whether the store is to be left alone is decided before a batch is taken. */
const itsTurn = { isUrgent: true }

/** Most entries of a batch. */
const batchEntries = 128

/** What can not be written so often, while others can, waits for its next refresh. Removals are never given up. */
const maxAttempts = 3

export class SnapshotWriter {
  readonly #store: SnapshotStore
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #writes: Lane
  readonly #removals: Lane
  /** Those of the batch that is under way. */
  readonly #underWay = new Map<string, Pending>()
  /** Fulfilled while an operation that was given up could still undo it. */
  readonly #mayBeUndone = new Map<string, Pending>()
  readonly #one = Semaphore.makeUnsafe(1)
  #isClosed = false

  constructor(store: SnapshotStore, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#store = store
    this.#fork = fork
    this.#writes = new Lane("write", store.writes)
    this.#removals = new Lane("remove", store.removals)
    store.adrift.onLanded = (ids) => this.#landed(ids)
  }

  /** Wishes that are not fulfilled yet. */
  get unwritten(): number {
    return this.#writes.pending.size + this.#removals.pending.size + this.#underWay.size
  }

  /** Whether a snapshot is to be removed: what the store still says of it does not count. */
  isToBeRemoved(id: string): boolean {
    if (this.unwritten === 0 && this.#mayBeUndone.size === 0) return false
    const wish = this.#pendingOf(id) ?? this.#underWay.get(id) ?? this.#mayBeUndone.get(id)
    return wish !== undefined && wish.text === undefined
  }

  /** Whether a snapshot is to be written. */
  isToBeWritten(id: string): boolean {
    return this.#writes.pending.has(id) || this.#underWay.get(id)?.text !== undefined
  }

  /** Takes a wish; it takes the place of an earlier one for the same provider. */
  put(wish: Wish): void {
    this.#enqueue(wish, [])
    this.#drainLater(this.#laneOf(wish))
  }

  /** Takes wishes, at once, and fulfils them now, also while the store is left alone; what became of each. */
  putAll(wishes: ReadonlyArray<Wish>): Effect.Effect<ReadonlyArray<Written>> {
    const untried = this.#isClosed ? "the registry is closed" : untriedRule
    const outcomes: Array<Written> = wishes.map(() => untried)
    wishes.forEach((wish, i) => this.#enqueue(wish, [(written) => (outcomes[i] = written)]))
    this.#drainAllLater()
    return Effect.as(this.#drainNow([this.#removals, this.#writes]), outcomes)
  }

  /** Writes what is unwritten, until the store fails; nothing is taken afterwards. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#isClosed = true
    // The batch that is under way may still bring something back. A restart has more of a write than of a removal.
    return Effect.andThen(this.#idle, this.#drainNow([this.#writes, this.#removals]))
  })

  #laneOf({ text }: Wish): Lane {
    return text === undefined ? this.#removals : this.#writes
  }

  #pendingOf(id: string): Pending | undefined {
    return this.#writes.pending.get(id) ?? this.#removals.pending.get(id)
  }

  #enqueue(wish: Wish, waiters: ReadonlyArray<(written: Written) => void>): void {
    if (this.#isClosed) return
    const before = this.#pendingOf(wish.id)
    const lane = this.#laneOf(wish)
    const other = lane === this.#writes ? this.#removals : this.#writes
    other.pending.delete(wish.id)
    this.#mayBeUndone.delete(wish.id)
    lane.pending.set(wish.id, {
      ...wish,
      attempts: 0,
      triedAt: undefined,
      isCrossed: false,
      waiters: [...(before?.waiters ?? []), ...waiters],
    })
  }

  #drainAllLater(): void {
    this.#drainLater(this.#removals)
    this.#drainLater(this.#writes)
  }

  #drainLater(lane: Lane): void {
    if (lane.isDraining || this.#isClosed || lane.pending.size === 0) return
    lane.isDraining = true
    this.#fork(
      // Whoever waits for the flight that brought the set is answered first.
      Effect.yieldNow.pipe(
        Effect.andThen(this.#drain(lane)),
        Effect.ensuring(Effect.sync(() => (lane.isDraining = false))),
        // What was wished for after the last look into the lane.
        Effect.andThen(Effect.sync(() => this.#drainLater(lane))),
      ),
    )
  }

  #drain(lane: Lane): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      while (lane.pending.size > 0) {
        yield* Effect.sleep(lane.health.pauseMillis)
        if (this.#isClosed) return
        yield* this.#batch(lane, () => lane.health.pauseMillis === 0)
        // What could not be written is to be removed.
        this.#drainLater(this.#removals)
      }
    })
  }

  /** Every wish once; removals before writes give a full store room. */
  readonly #drainNow = Effect.fnUntraced(function* (this: SnapshotWriter, lanes: ReadonlyArray<Lane>) {
    for (const lane of lanes) yield* this.#drainLaneNow(lane)
    // What could not be written is to be removed.
    if (!this.#removals.health.isFailing) yield* this.#drainLaneNow(this.#removals)
    // The last batch may be somebody else's.
    yield* this.#idle
  })

  /** Waits for the batch that is under way. */
  get #idle(): Effect.Effect<void> {
    return this.#one.withPermits(1)(Effect.void)
  }

  /** Every wish of a lane once, until the store fails. */
  readonly #drainLaneNow = Effect.fnUntraced(function* (this: SnapshotWriter, lane: Lane) {
    const failures = lane.health.failures
    const mayTry = () => !lane.health.isFailing || lane.health.failures === failures
    for (let left = lane.pending.size; left > 0 && lane.pending.size > 0 && mayTry();) {
      left -= yield* this.#batch(lane, mayTry)
    }
  })

  /**
   * One batch, which nobody else's comes across; how many wishes it tried. `mayTry` is asked when its turn has come:
   * somebody else's batch may have failed meanwhile.
   */
  #batch(lane: Lane, mayTry: () => boolean): Effect.Effect<number> {
    return this.#one.withPermits(1)(
      Effect.suspend(() => {
        if (!mayTry()) return Effect.succeed(0)
        return lane === this.#writes ? this.#write() : this.#remove()
      }).pipe(
        // Interrupted: what has not been written is still to be.
        Effect.ensuring(Effect.sync(() => this.#giveBack())),
      ),
    )
  }

  /** The next wish of a lane, for the present batch; none where it has that provider's wish already. */
  #take(lane: Lane): Pending | undefined {
    const [next] = lane.pending.values()
    if (next === undefined || this.#underWay.has(next.id)) return undefined
    lane.pending.delete(next.id)
    this.#underWay.set(next.id, next)
    return next
  }

  readonly #remove = Effect.fnUntraced(function* (this: SnapshotWriter) {
    const wishes: Array<Pending> = []
    while (wishes.length < batchEntries) {
      const wish = this.#take(this.#removals)
      if (wish === undefined) break
      wishes.push(wish)
    }
    const removed = yield* this.#store.removeMany(
      wishes.map(({ id }) => id),
      itsTurn,
    )
    wishes.forEach((wish, i) => this.#settle(this.#removals, wish, removed[i]))
    return wishes.length
  })

  readonly #write = Effect.fnUntraced(function* (this: SnapshotWriter) {
    const writes: Array<{ readonly wish: Pending; readonly stored: StoredText }> = []
    let characters = 0
    let tried = 0
    for (let left = this.#writes.pending.size; left > 0; left--) {
      if (writes.length === batchEntries || characters >= batchCharacters) break
      const wish = this.#take(this.#writes)
      if (wish?.text === undefined) break
      tried++
      const text = Result.flatMap(Result.try({ try: wish.text, catch: () => unwritable }), (made) => made)
      if (Result.isFailure(text)) {
        this.#end(this.#writes, wish, text.failure.rule)
        this.#removeInstead(wish)
      } else if (text.success === undefined) {
        this.#underWay.delete(wish.id)
        this.#removeInstead(wish)
      } else {
        characters += text.success.text.length
        if (text.success.text.length > longText) yield* Effect.yieldNow
        writes.push({ wish, stored: { id: wish.id, ...text.success } })
      }
    }
    const written = yield* this.#store.writeMany(
      writes.map(({ stored }) => stored),
      itsTurn,
    )
    writes.forEach(({ wish }, i) => this.#settle(this.#writes, wish, written[i]))
    return tried
  })

  /** There is no text to write: what is stored is older, and of even less use. */
  #removeInstead({ id, report, waiters }: Pending): void {
    const removal = { id, report, attempts: 0, triedAt: undefined, isCrossed: false, waiters: waiters.splice(0) }
    this.#putBack(this.#removals, removal)
  }

  #settle(lane: Lane, wish: Pending, written: Written): void {
    if (written === undefined) {
      lane.successes += 1
      this.#end(lane, wish, undefined)
      if (this.#pendingOf(wish.id) !== undefined) return
      if (this.#store.adrift.has(wish.id)) this.#mayBeUndone.set(wish.id, wish)
      else if (wish.isCrossed) this.put(wish)
      return
    }
    wish.isCrossed = false
    // Others were written since it was tried last: it is this one that can not be.
    if (wish.triedAt !== undefined && wish.triedAt < lane.successes) wish.attempts += 1
    wish.triedAt = lane.successes
    if (lane === this.#writes && wish.attempts >= maxAttempts) return this.#end(lane, wish, written)
    for (const waiter of wish.waiters.splice(0)) waiter(written)
    wish.report(lane.operation, written)
    this.#underWay.delete(wish.id)
    this.#putBack(lane, wish)
  }

  #end(lane: Lane, wish: Pending, written: Written): void {
    this.#underWay.delete(wish.id)
    for (const waiter of wish.waiters.splice(0)) waiter(written)
    wish.report(lane.operation, written)
  }

  /** To the end of the lane, unless something newer is wished for already. */
  #putBack(lane: Lane, wish: Pending): void {
    const newer = this.#pendingOf(wish.id)
    if (newer === undefined) lane.pending.set(wish.id, wish)
    else newer.waiters.push(...wish.waiters)
  }

  #giveBack(): void {
    for (const wish of this.#underWay.values()) this.#putBack(this.#laneOf(wish), wish)
    this.#underWay.clear()
  }

  /** An operation that nobody waits for is over: what was fulfilled since may be undone, and is wished for again. */
  #landed(ids: ReadonlyArray<string>): void {
    if (this.#underWay.size === 0 && this.#mayBeUndone.size === 0) return
    for (const id of ids) {
      const underWay = this.#underWay.get(id)
      if (underWay !== undefined) underWay.isCrossed = true
      const wish = this.#mayBeUndone.get(id)
      // Another one may not be over.
      if (wish !== undefined && !this.#store.adrift.has(id)) this.put(wish)
    }
  }
}
