/**
 * A backing store in memory whose operations are counted, held, slowed down and broken by the test.
 */
import { assert } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Scheduler from "effect/Scheduler"
import * as Instant from "../../src/Instant.ts"
import { type SnapshotOwner, snapshotId } from "../../src/persistence/SnapshotId.ts"
import { openStore } from "../../src/persistence/SnapshotStore.ts"

/** One call of the backing store. */
export interface StoreCall {
  readonly operation: "get" | "getMany" | "set" | "setMany" | "remove"
  readonly ids: ReadonlyArray<string>
}

/** What a call meets before it does what it is for. */
export type StoreFault = (call: StoreCall) => Effect.Effect<void, Persistence.PersistenceError>

/** An error as a driver raises it. */
export const storeError = (cause: unknown): Persistence.PersistenceError =>
  new Persistence.PersistenceError({ message: "the driver failed", cause })

/** Fails as Redis does when it is full. */
export const outOfMemory = Effect.fail(storeError(new Error("OOM command not allowed: secret-of-the-store")))

export class ScriptedStore {
  /** What is stored, by key. */
  readonly stored = new Map<string, object>()
  readonly timesToLive = new Map<string, number>()
  readonly calls: Array<StoreCall> = []
  readonly storeIds: Array<string> = []
  #fault: StoreFault = () => Effect.void

  /** Replaces what calls meet from now on. */
  meet(fault: StoreFault): void {
    this.#fault = fault
  }

  /** Calls work from now on. */
  heal(): void {
    this.meet(() => Effect.void)
  }

  /** Calls of these operations that were made so far. */
  made(...operations: ReadonlyArray<StoreCall["operation"]>): ReadonlyArray<StoreCall> {
    return this.calls.filter(({ operation }) => operations.includes(operation))
  }

  get reads(): ReadonlyArray<StoreCall> {
    return this.made("get", "getMany")
  }

  get writes(): ReadonlyArray<StoreCall> {
    return this.made("set", "setMany")
  }

  get removals(): ReadonlyArray<StoreCall> {
    return this.made("remove")
  }

  /** Holds every call of the operations back until the effect it answers with is run. */
  hold(...operations: ReadonlyArray<StoreCall["operation"]>): Effect.Effect<void> {
    const gate = Deferred.makeUnsafe<void>()
    this.meet((call) => (operations.includes(call.operation) ? Deferred.await(gate) : Effect.void))
    return Effect.andThen(
      Effect.sync(() => this.heal()),
      Effect.asVoid(Deferred.succeed(gate, undefined)),
    )
  }

  /** The stored text of an owner, if there is one. */
  textOf(owner: SnapshotOwner): string | undefined {
    const value = this.stored.get(snapshotId(owner))
    if (value === undefined) return undefined
    return "value" in value && typeof value.value === "string" ? value.value : assert.fail("no exit with a text")
  }

  /** Stores a text, as somebody else would. */
  put(owner: SnapshotOwner, text: string): void {
    this.stored.set(snapshotId(owner), { _tag: "Success", value: text })
  }

  readonly #call = <A>(
    operation: StoreCall["operation"],
    ids: ReadonlyArray<string>,
    act: () => A,
  ): Effect.Effect<A, Persistence.PersistenceError> =>
    Effect.suspend(() => {
      const call = { operation, ids }
      this.calls.push(call)
      return Effect.map(this.#fault(call), act)
    })

  /** The `Persistence` over it. */
  get layer(): Layer.Layer<Persistence.Persistence> {
    const backing = Layer.succeed(
      Persistence.BackingPersistence,
      Persistence.BackingPersistence.of({
        make: (storeId) =>
          Effect.sync((): Persistence.BackingPersistenceStore => {
            this.storeIds.push(storeId)
            const set = (
              key: string,
              value: object,
              ttl: Parameters<Persistence.BackingPersistenceStore["set"]>[2],
            ) => {
              this.stored.set(key, value)
              this.timesToLive.set(key, ttl === undefined ? Infinity : Duration.toMillis(ttl))
            }
            return {
              get: (key) => this.#call("get", [key], () => this.stored.get(key)),
              getMany: (keys) => this.#call("getMany", keys, () => Arr.map(keys, (key) => this.stored.get(key))),
              set: (key, value, ttl) => this.#call("set", [key], () => set(key, value, ttl)),
              setMany: (entries) =>
                this.#call(
                  "setMany",
                  entries.map(([key]) => key),
                  () => entries.forEach(([key, value, ttl]) => set(key, value, ttl)),
                ),
              remove: (key) => this.#call("remove", [key], () => void this.stored.delete(key)),
              clear: Effect.sync(() => this.stored.clear()),
            }
          }),
      }),
    )
    return Layer.provide(Persistence.layer, backing)
  }
}

/** A `SnapshotStore` over such a store, and what runs its queues. */
export const openScripted = Effect.fnUntraced(function* () {
  const backing = new ScriptedStore()
  const clock = yield* Clock.Clock
  const store = yield* Effect.flatMap(Persistence.Persistence, (persistence) =>
    openStore(persistence, "shop", () => Instant.now(clock)),
  ).pipe(Effect.provide(backing.layer))
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  /** Runs fibers that let others run after so many steps. */
  const politely = (steps: number) => (effect: Effect.Effect<void>) =>
    fork(Effect.provideService(effect, Scheduler.MaxOpsBeforeYield, steps))
  return { backing, store, fork, politely }
})
