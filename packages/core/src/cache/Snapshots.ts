/**
 * The snapshots of a registry: what is written after a refresh, read for a provider that holds nothing,
 * and told about it. Nobody who resolves or refreshes waits for anything here but within his own bound.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Instant from "../Instant.ts"
import { PersistenceFailed } from "../JwksError.ts"
import type { JwksEventBody } from "../JwksEvent.ts"
import type { RegistryReading } from "../metrics/JwksMetrics.ts"
import { storedKeys } from "../jwk/StoredKeys.ts"
import { withinMachineTime } from "../persistence/MachineTime.ts"
import { decode, encode, type SnapshotRule } from "../persistence/Snapshot.ts"
import type { SnapshotOwner } from "../persistence/SnapshotId.ts"
import { type Question, SnapshotReader } from "../persistence/SnapshotReader.ts"
import { isSigned, type SnapshotSeal } from "../persistence/SnapshotSeal.ts"
import type { Read, SnapshotStore, Written } from "../persistence/SnapshotStore.ts"
import { SnapshotWriter, type Wish, type WishedText } from "../persistence/SnapshotWriter.ts"
import type { Provider } from "../Provider.ts"
import type { PersistSummary } from "../Resolved.ts"
import type { UrlPolicy } from "../security/UrlPolicy.ts"
import type { HeldSet } from "./CacheState.ts"
import { descriptionOf, heldFrom, mustNotBeStored } from "./HeldSnapshot.ts"

/** Whose snapshot it is, and where it is stored. */
export interface SnapshotSubject {
  readonly id: string
  readonly provider: Provider
  readonly policy: UrlPolicy
}

/** A provider that may take a set over. */
export interface RestoreTarget extends SnapshotSubject {
  readonly adopt: (held: HeldSet) => Adoption
  /** Whether it is still registered so. */
  readonly isCurrent: () => boolean
}

/** What a provider makes of a set that came back: `Known` holds it already, `Older` holds a newer one. */
export type Adoption = "Adopted" | "Known" | "Older"

type Operation = "read" | "write" | "remove"

const healths = { read: "reads", write: "writes", remove: "removals" } as const

/** What the store had for a provider. */
export type Found =
  | { readonly _tag: "Restored" }
  | { readonly _tag: "Skipped" }
  | { readonly _tag: "Ignored"; readonly rule: string }
  | { readonly _tag: "Failed"; readonly rule: string }

/** How long closing may take, in milliseconds. */
const closeTimeout = 2_000

/** Tells what became of an owner's snapshot. */
type Tell = (owner: SnapshotOwner, event: JwksEventBody) => void

export class Snapshots {
  readonly #store: SnapshotStore
  readonly #seal: SnapshotSeal
  readonly #writer: SnapshotWriter
  readonly #reader: SnapshotReader
  readonly #now: () => Instant.Instant
  readonly #random: typeof Random.Random.Service
  readonly #tell: Tell
  /** What was last told of a failed write or removal, by storage key. */
  readonly #told = { write: new Map<string, string>(), remove: new Map<string, string>() }
  readonly #failing = new Set<Operation>()
  readonly #counts = { writes: 0, writeErrors: 0, readErrors: 0, restored: 0, ignored: 0 }

  constructor(
    store: SnapshotStore,
    seal: SnapshotSeal,
    now: () => Instant.Instant,
    random: typeof Random.Random.Service,
    fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>,
    tell: Tell,
  ) {
    this.#random = random
    this.#tell = tell
    this.#store = store
    this.#seal = seal
    this.#now = now
    this.#writer = new SnapshotWriter(store, fork)
    this.#reader = new SnapshotReader(store, fork)
  }

  /** Numbers for the metrics. */
  reading(): Omit<RegistryReading, "eventsDropped"> {
    return { ...this.#counts, unwritten: this.#writer.unwritten }
  }

  /** A set has come from the store: one that still waits to be written is older. */
  adopted(subject: SnapshotSubject, held: HeldSet): void {
    if (this.#writer.isToBeWritten(subject.id)) this.changed(subject, held)
  }

  /** A set was fetched or confirmed. */
  changed(subject: SnapshotSubject, held: HeldSet): void {
    this.#writer.put(this.#writing(subject, held))
  }

  /** Nothing of the provider is to be stored any more. */
  forget({ id, provider }: SnapshotSubject): void {
    this.#told.write.delete(id)
    // It may take long: it keeps nothing of the provider but its name.
    const owner = { tenant: provider.tenant, provider: provider.provider }
    this.#writer.put({ id, report: (operation, written) => this.#wrote(owner, id, operation, written) })
  }

  /** Whether the store is not left alone. */
  get mayRead(): boolean {
    return this.#store.reads.pauseMillis === 0
  }

  /** Looks for a set in the background, and says what it found; at once where the store answers at once. */
  look(target: RestoreTarget, done: (found: Found) => void): void {
    this.#reader.ask(this.#question(target, done))
  }

  /** Writes every set now that there is when it is run. */
  persistAll(
    sets: () => ReadonlyArray<{ readonly subject: SnapshotSubject; readonly held: HeldSet | undefined }>,
  ): Effect.Effect<PersistSummary, PersistenceFailed> {
    // In one step up to the queue: what is unregistered after it must come after it there, too.
    return Effect.suspend(() => {
      const now = this.#now()
      const entries = sets()
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
    Effect.suspend((): Effect.Effect<unknown> =>
      // Where nothing is unwritten there is nothing to wait for: most requests of an edge platform have written nothing.
      this.#writer.unwritten === 0 ? this.#writer.close : withinMachineTime(this.#writer.close, closeTimeout),
    ),
    () => this.#writer.unwritten,
  )

  // ---------------------------------------------------------------------------
  // Writing
  // ---------------------------------------------------------------------------

  #writing(subject: SnapshotSubject, held: HeldSet): Wish {
    const { id, provider } = subject
    return {
      id,
      report: (operation, written) => this.#wrote(provider, id, operation, written),
      text: () => this.#textOf(provider, held),
    }
  }

  #textOf(provider: Provider, held: HeldSet): WishedText {
    const timeToLive = Instant.remaining(held.staleUntil, this.#now())
    if (timeToLive === 0) return Result.succeed(undefined)
    return Result.map(
      encode(descriptionOf(provider, held), storedKeys(held.jwks), provider.settings.maxResponseBytes),
      (payload) => ({ text: this.#seal.seal(provider, payload), timeToLive }),
    )
  }

  #wrote(owner: SnapshotOwner, id: string, operation: "write" | "remove", written: Written): void {
    const told = this.#told[operation]
    if (written === undefined) {
      this.#counts.writes += 1
      told.delete(id)
      this.#works(owner, operation)
      return
    }
    this.#counts.writeErrors += 1
    if (told.get(id) === written || (told.has(id) && this.#store[healths[operation]].isFailing)) return
    told.set(id, written)
    this.#fails(owner, operation, written)
  }

  // ---------------------------------------------------------------------------
  // Reading
  // ---------------------------------------------------------------------------

  #question(target: RestoreTarget, done: (found: Found) => void): Question {
    const { id } = target
    return {
      id,
      answer: (given) => {
        // Also what was removed while it was read: that is done again.
        const read: Read = this.#writer.isToBeRemoved(id) ? { _tag: "Absent" } : given
        if (read._tag !== "Found") return done(this.#nothing(target, read))
        this.#works(target.provider, "read")
        const found = Result.try(() => this.#offer(target, this.#read(target, read.text)))
        // A bug of ours, which must not cost the others of the batch their answers.
        done(Result.isSuccess(found) ? found.success : this.#ignore(target, "can not be judged"))
      },
    }
  }

  /** There is no text, or none that counts. */
  #nothing(target: RestoreTarget, read: Read): Found {
    if (read._tag === "Failed") {
      this.#counts.readErrors += 1
      this.#fails(target.provider, "read", read.rule)
      return read
    }
    this.#works(target.provider, "read")
    return read._tag === "Torn" ? this.#ignore(target, read.rule) : { _tag: "Skipped" }
  }

  #read({ policy, provider }: RestoreTarget, text: string): Result.Result<HeldSet, SnapshotRule> {
    const payload = this.#seal.open(provider, text)
    if (Result.isFailure(payload)) return Result.fail(payload.failure)
    const snapshot = decode(payload.success, provider.settings.maxResponseBytes)
    if (Result.isFailure(snapshot)) return Result.fail(snapshot.failure)
    return heldFrom(snapshot.success, provider, policy, this.#now(), this.#random.nextDoubleUnsafe(), isSigned(text))
  }

  #offer(target: RestoreTarget, held: Result.Result<HeldSet, SnapshotRule>): Found {
    // Whoever has come after it looks for itself, by rules of its own.
    if (!target.isCurrent()) return { _tag: "Skipped" }
    if (Result.isFailure(held)) {
      if (held.failure === mustNotBeStored) this.forget(target)
      return this.#ignore(target, held.failure.rule)
    }
    switch (target.adopt(held.success)) {
      case "Known":
        return { _tag: "Skipped" }
      case "Older":
        return this.#ignore(target, "is older than what is held")
      case "Adopted":
        this.#counts.restored += 1
        return { _tag: "Restored" }
    }
  }

  #ignore({ provider }: RestoreTarget, rule: string): Found {
    this.#counts.ignored += 1
    this.#tell(provider, { _tag: "SnapshotIgnored", rule })
    return { _tag: "Ignored", rule }
  }

  // ---------------------------------------------------------------------------
  // Whether the store works
  // ---------------------------------------------------------------------------

  #fails(owner: SnapshotOwner, operation: Operation, rule: string): void {
    const isStore = this.#store[healths[operation]].isFailing
    this.#tell(owner, { _tag: "SnapshotFailed", operation, rule, isFirst: !isStore || !this.#failing.has(operation) })
    if (isStore) this.#failing.add(operation)
  }

  #works(owner: SnapshotOwner, operation: Operation): void {
    if (this.#failing.size === 0 || this.#store[healths[operation]].isFailing) return
    if (!this.#failing.delete(operation)) return
    // The next row of failures is told anew.
    if (operation !== "read") this.#told[operation].clear()
    this.#tell(owner, { _tag: "SnapshotStoreRecovered", operation })
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
