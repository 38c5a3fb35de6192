/**
 * The typed floor on Effect's `Persistence`: texts in batches, each operation within a bound, and no
 * operation at all for a while after the store has failed. Never fails: what went wrong is a value.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Persistable from "effect/persistence/Persistable"
import type * as Persistence from "effect/persistence/Persistence"
import { identity } from "effect/Function"
import { isTagged } from "effect/Predicate"
import * as PrimaryKey from "effect/PrimaryKey"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { firstIn } from "../http/TransportFailure.ts"
import type * as Instant from "../Instant.ts"
import { Adrift } from "./Adrift.ts"
import { storeCode } from "./StoreCode.ts"
import { StoreHealth } from "./StoreHealth.ts"

/** What one read found. */
export type Read =
  | { readonly _tag: "Found"; readonly text: string }
  | { readonly _tag: "Absent" }
  /** There is something, and it can not be read. */
  | { readonly _tag: "Torn"; readonly rule: string }
  /** The store did not say. */
  | { readonly _tag: "Failed"; readonly rule: string }

/** What one write or removal came to: why it failed, or nothing. */
export type Written = string | undefined

/** A text to store. */
export interface StoredText {
  readonly id: string
  readonly text: string
  /** How long it may be of use, in milliseconds. */
  readonly timeToLive: number
}

/** How an operation is to be taken. */
export interface StoreDemand {
  /** Somebody asked for it: also while the store is left alone. */
  readonly isUrgent: boolean
}

/** What becomes of those behind a batch that the store has failed. */
export const untriedRule = "was not tried: the store failed before its turn"

/** Characters that a batch should not exceed. */
export const batchCharacters = 4 * 1_048_576

/** Characters of a text that takes some milliseconds to make or to judge: after it, whoever asks for keys goes first. */
export const longText = 65_536

/** Longest read and longest write, in milliseconds. */
const readTimeout = 2_000
const writeTimeout = 5_000

/**
 * The object that `Persistence` knows a text by. Effect compiles the schema of each anew, and remembers it
 * by the object: that takes 200 µs, and an object that was used before 9 µs. So these are used again.
 */
class SnapshotKey implements Persistable.Persistable<typeof Schema.String, typeof Schema.Never> {
  readonly [Persistable.symbol] = { success: Schema.String, error: Schema.Never }
  id = ""
  timeToLive = 0;

  [PrimaryKey.symbol](): string {
    return this.id
  }
}

/** Keys that nobody uses now, whichever store had them; no more are kept than these. */
const keptKeys = 256
const idleKeys: Array<SnapshotKey> = []

/** Why an operation failed. */
interface Trouble {
  readonly rule: string
  /** The store is there, and what it holds is at fault. */
  readonly isTorn: boolean
  readonly isTimeout: boolean
}

const isSyntaxError = (cause: unknown): true | undefined => (cause instanceof SyntaxError ? true : undefined)

/** Never the message of an error, which may hold what is stored: a code where there is one. */
const troubleOf = (error: unknown): Trouble => {
  if (isTagged(error, "SchemaError")) {
    return { rule: "has not the form of a snapshot", isTorn: true, isTimeout: false }
  }
  if (firstIn(error, isSyntaxError) === true) {
    return { rule: "is no JSON: torn or overwritten", isTorn: true, isTimeout: false }
  }
  const code = storeCode(error)
  return { rule: `the store failed${code === undefined ? "" : ` (${code})`}`, isTorn: false, isTimeout: false }
}

/** What is to be done with items. */
interface Operation<Item, A> {
  readonly health: StoreHealth
  /** What fails with it where the store does not answer at all. */
  readonly silentToo: ReadonlyArray<StoreHealth>
  readonly timeout: number
  readonly operate: (items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<A>, unknown>
  readonly idOf: (item: Item) => string
}

/** One by one, this many may fail before one succeeds: then it is the store that is at fault. */
const triedAlone = 3

export class SnapshotStore {
  readonly #store: Persistence.PersistenceStore
  readonly adrift = new Adrift()
  readonly reads: StoreHealth
  readonly writes: StoreHealth
  readonly removals: StoreHealth

  constructor(store: Persistence.PersistenceStore, now: () => Instant.Instant) {
    this.#store = store
    this.reads = new StoreHealth(now)
    this.writes = new StoreHealth(now)
    this.removals = new StoreHealth(now)
  }

  /** Reads texts, in the order of their ids. */
  readMany(ids: ReadonlyArray<string>, demand: StoreDemand): Effect.Effect<ReadonlyArray<Read>> {
    const read = (some: ReadonlyArray<string>) =>
      withKeys(some.length, (keys) => {
        const end = this.adrift.read(some)
        keys.forEach((key, i) => (key.id = some[i] ?? ""))
        // Of many, those that have not the form are left out without a word.
        const [only, other] = keys
        const exits =
          only !== undefined && other === undefined
            ? Effect.map(this.#store.get(only), (exit) => [exit])
            : this.#store.getMany(keys)
        return Effect.ensuring(exits, Effect.sync(end))
      })
    return this.#inBatch(
      ids,
      demand,
      { health: this.reads, silentToo: [], timeout: readTimeout, operate: read, idOf: identity },
      {
        done: (exit): Read => {
          if (exit === undefined) return { _tag: "Absent" }
          return Exit.isSuccess(exit)
            ? { _tag: "Found", text: exit.value }
            : { _tag: "Torn", rule: "has not the form of a snapshot" }
        },
        failed: ({ isTorn, rule }): Read => ({ _tag: isTorn ? "Torn" : "Failed", rule }),
      },
    )
  }

  /** Writes texts. */
  writeMany(entries: ReadonlyArray<StoredText>, demand: StoreDemand): Effect.Effect<ReadonlyArray<Written>> {
    const write = (some: ReadonlyArray<StoredText>) =>
      withKeys(some.length, (keys) =>
        Effect.as(
          this.#store.setMany(
            keys.map((key, i) => {
              key.id = some[i]?.id ?? ""
              key.timeToLive = some[i]?.timeToLive ?? 0
              return [key, Exit.succeed(some[i]?.text ?? "")] as const
            }),
          ),
          some.map(() => undefined),
        ),
      )
    const { removals, writes } = this
    const idOf = ({ id }: StoredText): string => id
    const operation = { health: writes, silentToo: [removals], timeout: writeTimeout, operate: write, idOf }
    return this.#inBatch(entries, demand, operation, written)
  }

  /** Removes texts. */
  removeMany(ids: ReadonlyArray<string>, demand: StoreDemand): Effect.Effect<ReadonlyArray<Written>> {
    const remove = (some: ReadonlyArray<string>) =>
      withKeys(some.length, (keys) =>
        Effect.forEach(
          keys,
          (key, i) => {
            key.id = some[i] ?? ""
            return Effect.as(this.#store.remove(key), undefined)
          },
          { concurrency: 16 },
        ),
      )
    const { removals, writes } = this
    const operation = { health: removals, silentToo: [writes], timeout: writeTimeout, operate: remove, idOf: identity }
    return this.#inBatch(ids, demand, operation, written)
  }

  /** Operates on all at once; where that fails on account of one, on one after the other. */
  #inBatch<Item, A, B>(
    items: ReadonlyArray<Item>,
    { isUrgent }: StoreDemand,
    { health, idOf, operate, silentToo, timeout }: Operation<Item, A>,
    outcome: { readonly done: (a: A | undefined) => B; readonly failed: (trouble: Trouble) => B },
  ): Effect.Effect<ReadonlyArray<B>> {
    const { adrift } = this
    const one = (some: ReadonlyArray<Item>) =>
      bounded(operate(some), timeout, (fiber) => adrift.giveUp(fiber, some.map(idOf)))
    const { done, failed } = outcome
    const all = (trouble: Trouble) => items.map(() => failed(trouble))
    return Effect.gen(function* () {
      if (items.length === 0) return []
      if (adrift.isFull) {
        yield* health.fail
        return all({ rule: "the store does not end what was given up", isTorn: false, isTimeout: true })
      }
      const pause = health.pauseMillis
      if (pause > 0 && !isUrgent) {
        return all({
          rule: `the store failed, and is left alone for ${Math.ceil(pause)} ms`,
          isTorn: false,
          isTimeout: false,
        })
      }
      const together = yield* one(items)
      if (Result.isSuccess(together)) {
        health.succeed()
        return items.map((_, i) => done(together.success[i]))
      }
      const trouble = together.failure
      if (items.length === 1 || trouble.isTimeout) {
        if (trouble.isTorn) health.succeed()
        else yield* health.fail
        // A store that says nothing to one kind says nothing to the other.
        if (trouble.isTimeout) for (const other of silentToo) yield* other.fail
        return all(trouble)
      }
      const outcomes = new Map<Item, { readonly is: B }>()
      let answered = 0
      // Those that are at fault may come first each time: the next try begins with others.
      const first = (health.failures * triedAlone) % items.length
      for (const item of [...items.slice(first), ...items.slice(0, first)]) {
        const alone = yield* one([item])
        if (Result.isSuccess(alone) || alone.failure.isTorn) answered++
        outcomes.set(item, { is: Result.isSuccess(alone) ? done(alone.success[0]) : failed(alone.failure) })
        if (answered === 0 && outcomes.size === triedAlone) break
        if (Result.isFailure(alone) && alone.failure.isTimeout) break
      }
      if (answered > 0) health.succeed()
      else yield* health.fail
      return items.map((item) => {
        const tried = outcomes.get(item)
        return tried === undefined ? failed(trouble) : tried.is
      })
    })
  }
}

/**
 * Operates with so many keys, which nobody else has meanwhile. After an interruption they are not used again: a
 * promise somewhere may still be looking at them.
 */
const withKeys = <A, E>(count: number, operate: (keys: ReadonlyArray<SnapshotKey>) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => Array.from({ length: count }, () => idleKeys.pop() ?? new SnapshotKey())),
    operate,
    (keys, exit) =>
      Effect.sync(() => {
        if (!Exit.hasInterrupts(exit)) idleKeys.push(...keys.slice(0, keptKeys - idleKeys.length))
      }),
  )

const written = {
  done: (): Written => undefined,
  failed: ({ rule }: Trouble): Written => rule,
}

/**
 * Waits for an operation, but no longer than `timeout`: not even for its interruption, which a client may
 * put off as long as it likes. What is done at once needs no clock.
 */
const bounded = <A>(
  operation: Effect.Effect<A, unknown>,
  timeout: number,
  giveUp: (fiber: Fiber.Fiber<unknown, unknown>) => void,
): Effect.Effect<Result.Result<A, Trouble>> =>
  Effect.flatMap(Effect.forkDetach(operation, { startImmediately: true }), (fiber) => {
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return Effect.succeed(resultOf(exit))
    return Fiber.await(fiber).pipe(
      Effect.map(resultOf),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.succeed(Result.fail(tooLate(timeout))) }),
      Effect.ensuring(
        Effect.sync(() => {
          if (fiber.pollUnsafe() !== undefined) return
          giveUp(fiber)
          fiber.interruptUnsafe()
        }),
      ),
    )
  })

const resultOf = <A>(exit: Exit.Exit<A, unknown>): Result.Result<A, Trouble> =>
  Exit.isSuccess(exit) ? Result.succeed(exit.value) : Result.fail(troubleOf(Cause.squash(exit.cause)))

const tooLate = (timeout: number): Trouble => ({
  rule: `the store did not answer within ${timeout} ms`,
  isTorn: false,
  isTimeout: true,
})

/** Opens the store of a registry in the user's `Persistence`. */
export const openStore = (
  persistence: Persistence.Persistence["Service"],
  name: string,
  now: () => Instant.Instant,
): Effect.Effect<SnapshotStore, never, Scope.Scope> =>
  Effect.map(
    persistence.make({
      // Braces: all keys of a store are in one slot of a Redis Cluster, where only such can be read at once.
      storeId: `{${name}}`,
      timeToLive: (_, key) => (key instanceof SnapshotKey ? key.timeToLive : 0),
    }),
    (store) => new SnapshotStore(store, now),
  )
