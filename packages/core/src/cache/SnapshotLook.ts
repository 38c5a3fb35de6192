/**
 * A provider's look for its snapshot. Who holds nothing asks the store before upstream, but waits for it no
 * longer than 250 ms; where the store could not say, it is asked again beside a later flight.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Instant from "../Instant.ts"
import { type RefreshScheduler, ScheduledItem } from "./RefreshScheduler.ts"
import type { RestoreTarget, Snapshots } from "./Snapshots.ts"

/** How long a provider that holds nothing waits for its snapshot before it asks upstream (milliseconds). */
const waitMillis = 250

/** What a look needs from its provider. */
export interface SnapshotLookPort {
  readonly snapshots: Snapshots
  readonly scheduler: RefreshScheduler
  readonly now: () => Instant.Instant
  readonly target: () => RestoreTarget
  /** Nobody waits for the store any more; told before those who did. */
  readonly onOver: () => void
}

export class SnapshotLook {
  readonly #port: SnapshotLookPort
  /** Who waits for the first look. */
  readonly #over = Deferred.makeUnsafe<void>()
  readonly #timer = new ScheduledItem(() => this.end())
  #state: "due" | "waiting" | "over" = "due"
  /** The store could not say. */
  #hasFailed = false

  constructor(port: SnapshotLookPort) {
    this.#port = port
  }

  /** Begins the first look, unless it has begun. */
  begin(): void {
    if (this.#state !== "due") return
    this.#state = "waiting"
    this.#ask(() => this.end())
    if (this.#isWaiting) this.#port.scheduler.schedule(this.#timer, this.#port.now().mono + waitMillis)
  }

  /** Looks once more where the last look failed and the store works again; nobody waits for it. */
  again(): void {
    if (this.#hasFailed && this.#port.snapshots.mayRead) this.#ask(() => {})
  }

  /** The first look is over, or is not waited for any more. */
  end(): void {
    const wasWaiting = this.#isWaiting
    this.#state = "over"
    if (!wasWaiting) return
    this.#port.scheduler.cancel(this.#timer)
    this.#port.onOver()
    Deferred.doneUnsafe(this.#over, Effect.void)
  }

  /** What a question to a provider that holds nothing waits for first. */
  get waited(): Effect.Effect<void> {
    return this.#isWaiting ? Deferred.await(this.#over) : Effect.void
  }

  get #isWaiting(): boolean {
    return this.#state === "waiting"
  }

  #ask(done: () => void): void {
    this.#hasFailed = false
    this.#port.snapshots.look(this.#port.target(), (found) => {
      this.#hasFailed = found._tag === "Failed"
      done()
    })
  }
}
