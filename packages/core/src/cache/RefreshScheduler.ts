/**
 * What is due when: one fiber over a heap of deadlines, for any number of items. It calls what it is
 * given and knows no cache. Deadlines are monotonic milliseconds, so that a wall clock that is set does
 * not move them.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis } from "../Instant.ts"

/** Something that becomes due; at most one deadline at a time. */
export class ScheduledItem {
  /** Called once when the deadline is reached; never inside `schedule`. */
  readonly onDue: () => void
  /** Position in the heap, -1 when not scheduled; the scheduler's. */
  position = -1
  /** The deadline; the scheduler's. */
  dueAt = 0

  constructor(onDue: () => void) {
    this.onDue = onDue
  }
}

export class RefreshScheduler {
  /** A binary heap by `dueAt`. */
  readonly #heap: Array<ScheduledItem> = []
  /** The deadline that the fiber sleeps for; nothing is earlier while it does not sleep. */
  #sleepingUntil = Number.NEGATIVE_INFINITY
  #wakeUp: () => void = () => {}
  #begin: (() => void) | undefined

  /** `begin` is called before the first deadline: it has {@link RefreshScheduler.run} run, if nobody else does. */
  constructor(begin?: () => void) {
    this.#begin = begin
  }

  /** Sets or moves the deadline of `item` (monotonic milliseconds). */
  schedule(item: ScheduledItem, dueAt: number): void {
    const begin = this.#begin
    this.#begin = undefined
    begin?.()
    item.dueAt = dueAt
    if (item.position < 0) {
      item.position = this.#heap.length
      this.#heap.push(item)
    }
    this.#sift(item)
    if (dueAt >= this.#sleepingUntil) return
    this.#sleepingUntil = Number.NEGATIVE_INFINITY
    this.#wakeUp()
  }

  /** Takes the deadline of `item` away. */
  cancel(item: ScheduledItem): void {
    const at = item.position
    if (at < 0) return
    item.position = -1
    const last = this.#heap.pop()
    if (last === undefined || last === item) return
    last.position = at
    this.#heap[at] = last
    this.#sift(last)
  }

  /** How many deadlines there are. */
  get size(): number {
    return this.#heap.length
  }

  /** Calls what is due, for ever. Run it in one fiber. */
  readonly run: Effect.Effect<never> = Effect.contextWith((context: Context.Context<never>) => {
    const clock = Context.get(context, Clock.Clock)
    const sleep = this.#sleep(clock, Effect.runForkWith(context))
    return Effect.forever(Effect.map(sleep, () => this.#callDue(clock)))
  })

  /** Sleeps until the first deadline, or until there is an earlier one. */
  #sleep(clock: Clock.Clock, fork: (sleep: Effect.Effect<void>) => Fiber.Fiber<void>): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const first = this.#heap[0]
      if (first !== undefined && first.dueAt <= monotonicMillis(clock)) return resume(Effect.void)
      this.#sleepingUntil = first?.dueAt ?? Number.POSITIVE_INFINITY
      if (first === undefined) {
        this.#wakeUp = () => resume(Effect.yieldNow)
        return Effect.void
      }
      const sleeper = fork(clock.sleep(Duration.millis(Math.max(1, Math.ceil(first.dueAt - monotonicMillis(clock))))))
      this.#wakeUp = () => sleeper.interruptUnsafe()
      // Straight from the clock: whoever runs after the deadline must find that it was called. But never inside
      // `schedule`, where somebody is in the middle of a step: one who wakes it up comes first.
      sleeper.addObserver((exit) => resume(Exit.isSuccess(exit) ? Effect.void : Effect.yieldNow))
      return Effect.sync(() => sleeper.interruptUnsafe())
    })
  }

  #callDue(clock: Clock.Clock): void {
    this.#sleepingUntil = Number.NEGATIVE_INFINITY
    // Items that become due again while others are called wait for the next turn of the fiber.
    const now = monotonicMillis(clock)
    const due: Array<ScheduledItem> = []
    for (let first = this.#heap[0]; first !== undefined && first.dueAt <= now; first = this.#heap[0]) {
      this.cancel(first)
      due.push(first)
    }
    for (const item of due) {
      // Cancelled or moved by one that was called before it: not due any more, or called later.
      if (item.position < 0) item.onDue()
    }
  }

  #sift(item: ScheduledItem): void {
    this.#siftUp(item)
    this.#siftDown(item)
  }

  #siftUp(item: ScheduledItem): void {
    while (item.position > 0) {
      const parent = this.#heap[(item.position - 1) >> 1]
      if (parent === undefined || parent.dueAt <= item.dueAt) return
      this.#swap(parent, item)
    }
  }

  #siftDown(item: ScheduledItem): void {
    while (true) {
      const left = this.#heap[2 * item.position + 1]
      const right = this.#heap[2 * item.position + 2]
      const child = right !== undefined && left !== undefined && right.dueAt < left.dueAt ? right : left
      if (child === undefined || child.dueAt >= item.dueAt) return
      this.#swap(item, child)
    }
  }

  #swap(a: ScheduledItem, b: ScheduledItem): void {
    const at = a.position
    this.#heap[b.position] = a
    this.#heap[at] = b
    a.position = b.position
    b.position = at
  }
}
