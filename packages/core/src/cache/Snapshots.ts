/**
 * The snapshots of a registry: what is written after a refresh, read for a provider that holds nothing,
 * and told about it. Nobody who resolves or refreshes waits for anything here but within his own bound.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Instant from "../Instant.ts"
import { PersistenceFailed } from "../JwksError.ts"
import type { JwksEventBody } from "../JwksEvent.ts"
import type { SnapshotReading } from "../metrics/JwksMetrics.ts"
import { withinMachineTime } from "../persistence/MachineTime.ts"
import { decode, encode, type SnapshotRule } from "../persistence/Snapshot.ts"
import { snapshotId } from "../persistence/SnapshotId.ts"
import { SnapshotReader } from "../persistence/SnapshotReader.ts"
import { isSigned, type SnapshotSeal } from "../persistence/SnapshotSeal.ts"
import type { Read, SnapshotStore, Written } from "../persistence/SnapshotStore.ts"
import { SnapshotWriter, type Wish, type WishedText } from "../persistence/SnapshotWriter.ts"
import type { Provider } from "../Provider.ts"
import type { PersistSummary } from "../Resolved.ts"
import type { UrlPolicy } from "../security/UrlPolicy.ts"
import type { HeldSet } from "./CacheState.ts"
import { heldFrom, snapshotOf } from "./HeldSnapshot.ts"

/** Whose snapshot it is, and who is told about it. */
export interface SnapshotSubject {
  readonly provider: Provider
  readonly policy: UrlPolicy
  readonly observe: (event: JwksEventBody) => void
}

/** A provider that may take a set over. */
export interface RestoreTarget extends SnapshotSubject {
  readonly adopt: (held: HeldSet) => Adoption
}

/** What a provider makes of a set that came back: `Known` holds it already, `Older` holds a newer one. */
export type Adoption = "Adopted" | "Known" | "Older"

type Operation = "read" | "write" | "remove"

/** Reads fail apart from writes and removals. */
const sideOf = (operation: Operation): "reads" | "writes" => (operation === "read" ? "reads" : "writes")

/** What the store had for a provider. */
type Found =
  | { readonly _tag: "Restored" }
  | { readonly _tag: "Skipped" }
  | { readonly _tag: "Ignored"; readonly rule: string }
  | { readonly _tag: "Failed"; readonly rule: string }

/** How long closing may take, in milliseconds. */
const closeTimeout = 2_000

export class Snapshots {
  readonly #store: SnapshotStore
  readonly #seal: SnapshotSeal
  readonly #writer: SnapshotWriter
  readonly #reader: SnapshotReader
  readonly #now: () => Instant.Instant
  /** What was last told of a provider's failed writes, by storage key. */
  readonly #told = new Map<string, string>()
  readonly #failing = new Set<"reads" | "writes">()
  readonly #counts = { writes: 0, writeErrors: 0, readErrors: 0, restored: 0, ignored: 0 }

  constructor(
    store: SnapshotStore,
    seal: SnapshotSeal,
    now: () => Instant.Instant,
    fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>,
  ) {
    this.#store = store
    this.#seal = seal
    this.#now = now
    this.#writer = new SnapshotWriter(store, fork)
    this.#reader = new SnapshotReader(store, fork)
  }

  /** Numbers for the metrics. */
  reading(): SnapshotReading {
    return { ...this.#counts, unwritten: this.#writer.unwritten }
  }

  /** A set was fetched or confirmed. */
  changed(subject: SnapshotSubject, held: HeldSet): void {
    this.#writer.put(this.#writing(subject, held))
  }

  /** Nothing of the provider is to be stored any more. */
  forget(subject: SnapshotSubject): void {
    this.#told.delete(snapshotId(subject.provider))
    this.#writer.put({ owner: subject.provider, report: (written) => this.#wrote(subject, written, "remove") })
  }

  /** Looks for a set in the background, and says when it has looked; at once where the store answers at once. */
  look(target: RestoreTarget, done: () => void): void {
    this.#reader.ask(this.#question(target, () => done()))
  }

  /** Writes every given set now. */
  persistAll(
    entries: ReadonlyArray<{ readonly subject: SnapshotSubject; readonly held: HeldSet | undefined }>,
  ): Effect.Effect<PersistSummary, PersistenceFailed> {
    return Effect.suspend(() => {
      const now = this.#now()
      const useful = entries.flatMap(({ held, subject }) =>
        held === undefined || Instant.isOver(held.staleUntil, now) ? [] : [{ held, subject }],
      )
      return Effect.flatMap(
        this.#writer.putAll(useful.map(({ held, subject }) => this.#writing(subject, held))),
        (outcomes) =>
          summary(
            useful.map(({ subject }, i) => ({ subject, rule: outcomes[i] })),
            entries.length - useful.length,
            this.#store.writes.isFailing,
          ),
      )
    })
  }

  /** Looks for every given provider's set now. */
  restoreAll(targets: ReadonlyArray<RestoreTarget>): Effect.Effect<PersistSummary, PersistenceFailed> {
    return Effect.suspend(() => {
      const found: Array<{ readonly subject: SnapshotSubject; readonly found: Found }> = []
      return Effect.flatMap(
        this.#reader.askAll(
          targets.map((target) => this.#question(target, (one) => void found.push({ subject: target, found: one }))),
        ),
        () => {
          const skipped = found.filter(({ found }) => found._tag === "Skipped").length
          const tried = found.filter(({ found }) => found._tag !== "Skipped")
          return summary(
            tried.map(({ found, subject }) => ({ subject, rule: "rule" in found ? found.rule : undefined })),
            skipped,
            skipped === 0 && tried.every(({ found }) => found._tag === "Failed"),
          )
        },
      )
    })
  }

  /** Writes what is unwritten, within {@link closeTimeout}; how many snapshots are left. */
  readonly close: Effect.Effect<number> = Effect.map(
    Effect.suspend(() => withinMachineTime(this.#writer.close, closeTimeout)),
    () => this.#writer.unwritten,
  )

  // ---------------------------------------------------------------------------
  // Writing
  // ---------------------------------------------------------------------------

  #writing(subject: SnapshotSubject, held: HeldSet): Wish {
    const { provider } = subject
    return {
      owner: provider,
      report: (written) => this.#wrote(subject, written, "write"),
      text: this.#textOf(provider, held),
    }
  }

  readonly #textOf = Effect.fnUntraced(function* (
    this: Snapshots,
    provider: Provider,
    held: HeldSet,
  ): Effect.fn.Return<WishedText> {
    const timeToLive = Instant.remaining(held.staleUntil, this.#now())
    if (timeToLive === 0) return Result.succeed(undefined)
    const payload = encode(snapshotOf(provider, held), provider.settings.maxResponseBytes)
    if (Result.isFailure(payload)) return Result.fail(payload.failure)
    return Result.succeed({ text: yield* this.#seal.seal(provider, payload.success), timeToLive })
  })

  #wrote(subject: SnapshotSubject, written: Written, operation: Operation): void {
    if (written === undefined) {
      this.#counts.writes += 1
      this.#works(subject, operation)
      return
    }
    this.#counts.writeErrors += 1
    const id = snapshotId(subject.provider)
    if (this.#told.get(id) === written || (this.#told.has(id) && this.#store.writes.isFailing)) return
    this.#told.set(id, written)
    this.#fails(subject, operation, written)
  }

  // ---------------------------------------------------------------------------
  // Reading
  // ---------------------------------------------------------------------------

  #question(target: RestoreTarget, done: (found: Found) => void) {
    const id = snapshotId(target.provider)
    // What is to be removed counts as removed; it may have been removed while it was read.
    const wasToBeRemoved = this.#writer.isToBeRemoved(id)
    return {
      id,
      answer: (read: Read): Effect.Effect<void> =>
        Effect.map(
          this.#judge(target, wasToBeRemoved || this.#writer.isToBeRemoved(id) ? { _tag: "Absent" } : read),
          done,
        ),
    }
  }

  readonly #judge = Effect.fnUntraced(function* (
    this: Snapshots,
    target: RestoreTarget,
    read: Read,
  ): Effect.fn.Return<Found> {
    if (read._tag === "Failed") {
      this.#counts.readErrors += 1
      this.#fails(target, "read", read.rule)
      return read
    }
    this.#works(target, "read")
    if (read._tag === "Absent") return { _tag: "Skipped" }
    const held = read._tag === "Torn" ? Result.fail(read) : yield* this.#open(target, read.text)
    if (Result.isFailure(held)) return this.#ignore(target, held.failure.rule)
    switch (target.adopt(held.success)) {
      case "Known":
        return { _tag: "Skipped" }
      case "Older":
        return this.#ignore(target, "is older than what is held")
      case "Adopted":
        this.#counts.restored += 1
        return { _tag: "Restored" }
    }
  })

  readonly #open = Effect.fnUntraced(function* (
    this: Snapshots,
    { policy, provider }: RestoreTarget,
    text: string,
  ): Effect.fn.Return<Result.Result<HeldSet, SnapshotRule>> {
    const payload = yield* this.#seal.open(provider, text)
    if (Result.isFailure(payload)) return Result.fail(payload.failure)
    const snapshot = decode(payload.success, provider.settings.maxResponseBytes)
    if (Result.isFailure(snapshot)) return Result.fail(snapshot.failure)
    return heldFrom(snapshot.success, provider, policy, this.#now(), yield* Random.next, isSigned(text))
  })

  #ignore(target: RestoreTarget, rule: string): Found {
    this.#counts.ignored += 1
    target.observe({ _tag: "SnapshotIgnored", rule })
    return { _tag: "Ignored", rule }
  }

  // ---------------------------------------------------------------------------
  // Whether the store works
  // ---------------------------------------------------------------------------

  #fails(subject: SnapshotSubject, operation: Operation, rule: string): void {
    const side = sideOf(operation)
    const isStore = this.#store[side].isFailing
    subject.observe({ _tag: "SnapshotFailed", operation, rule, isFirst: !isStore || !this.#failing.has(side) })
    if (isStore) this.#failing.add(side)
  }

  #works(subject: SnapshotSubject, operation: Operation): void {
    const side = sideOf(operation)
    if (side === "writes" && this.#told.size > 0) this.#told.delete(snapshotId(subject.provider))
    if (this.#store[side].isFailing || !this.#failing.delete(side)) return
    subject.observe({ _tag: "SnapshotStoreRecovered", operation: side === "reads" ? "read" : "write" })
  }
}

const summary = (
  tried: ReadonlyArray<{ readonly subject: SnapshotSubject; readonly rule: string | undefined }>,
  skipped: number,
  isStoreDown: boolean,
): Effect.Effect<PersistSummary, PersistenceFailed> => {
  const failed = tried.flatMap(({ rule, subject: { provider } }) =>
    rule === undefined ? [] : [{ tenant: provider.tenant, provider: provider.provider, reason: rule }],
  )
  const [first] = failed
  return isStoreDown && first !== undefined && failed.length === tried.length
    ? Effect.fail(new PersistenceFailed({ rule: first.reason }))
    : Effect.succeed({ done: tried.length - failed.length, skipped, failed })
}
