import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { ContractBreach, persistenceContract } from "../src/index.ts"

type Backing = Persistence.BackingPersistenceStore

/** A backend in memory that does one thing otherwise. */
const faulty = (change: (store: Backing, storeId: string) => Partial<Backing>): Layer.Layer<Persistence.Persistence> =>
  Layer.fresh(Persistence.layer).pipe(
    Layer.provide(
      Layer.effect(
        Persistence.BackingPersistence,
        Effect.map(Persistence.BackingPersistence, (backing) =>
          Persistence.BackingPersistence.of({
            make: (storeId) => Effect.map(backing.make(storeId), (store) => ({ ...store, ...change(store, storeId) })),
          }),
        ),
      ),
    ),
    Layer.provide(Layer.fresh(Persistence.layerBackingMemory)),
  )

/** The rules that a backend breaks, of those with these words in their name. */
const brokenBy = (backend: Layer.Layer<Persistence.Persistence>, words = "") =>
  Effect.forEach(
    persistenceContract.filter(({ name }) => name.includes(words)),
    ({ name, run }) =>
      Effect.match(run, {
        onSuccess: () => [],
        onFailure: (breach) => {
          assert.instanceOf(breach, ContractBreach)
          assert.strictEqual(breach.rule, name)
          return [name]
        },
      }),
    { concurrency: "unbounded" },
  ).pipe(
    Effect.map((broken) => broken.flat()),
    Effect.provide(backend),
  )

const shared = new Map<string, object>()

/** What a backend does wrong, and a rule that says so. */
const faults: ReadonlyArray<readonly [string, string, Layer.Layer<Persistence.Persistence>]> = [
  ["forgets", "reads back", faulty(() => ({ set: () => Effect.void, setMany: () => Effect.void }))],
  [
    "cuts long texts",
    "1 MiB",
    faulty((store) => ({
      set: (key, value, ttl) =>
        JSON.stringify(value).length > 1_000_000
          ? Effect.fail(new Persistence.PersistenceError({ message: "too long" }))
          : store.set(key, value, ttl),
    })),
  ],
  [
    "answers something for what is absent",
    "undefined where nothing is",
    faulty((store) => ({
      get: (key) => Effect.map(store.get(key), (value) => value ?? { _tag: "Success", value: "" }),
    })),
  ],
  [
    "keeps the first write",
    "written last",
    faulty((store) => ({
      set: (key, value, ttl) =>
        Effect.flatMap(store.get(key), (held) => (held === undefined ? store.set(key, value, ttl) : Effect.void)),
    })),
  ],
  [
    "turns batches round",
    "in their order",
    faulty((store) => ({
      getMany: (keys) =>
        Effect.map(store.getMany(keys), ([first, ...rest]) => {
          const [last = first, ...others] = [first, ...rest].toReversed()
          return [last, ...others]
        }),
    })),
  ],
  [
    "writes at most 100 at a time",
    "batches of 128",
    faulty((store) => ({
      setMany: ([first, ...rest]) => store.setMany([first, ...rest.slice(0, 99)]),
    })),
  ],
  ["removes nothing", "removes what is there", faulty(() => ({ remove: () => Effect.void }))],
  [
    "keeps everything for ever",
    "time to live",
    faulty((store) => ({
      set: (key, value) => store.set(key, value, undefined),
      setMany: ([[key, value], ...rest]) =>
        store.setMany([[key, value, undefined], ...rest.map(([other, text]) => [other, text, undefined] as const)]),
    })),
  ],
  [
    "has one store for all",
    "keeps stores apart",
    faulty((store) => ({
      get: (key) => Effect.sync(() => shared.get(key)),
      set: (key, value) => Effect.sync(() => shared.set(key, value)),
      setMany: (entries) => Effect.sync(() => entries.forEach(([key, value]) => shared.set(key, value))),
      getMany: ([first, ...rest]) => Effect.sync(() => [shared.get(first), ...rest.map((key) => shared.get(key))]),
      remove: (key) => Effect.sync(() => shared.delete(key)),
      clear: store.clear,
    })),
  ],
  [
    "cuts ids",
    "keeps ids apart",
    faulty((store) => ({
      get: (key) => store.get(key.slice(0, 120)),
      set: (key, value, ttl) => store.set(key.slice(0, 120), value, ttl),
      setMany: ([[key, value, ttl], ...rest]) =>
        store.setMany([[key.slice(0, 120), value, ttl], ...rest.map(([k, v, t]) => [k.slice(0, 120), v, t] as const)]),
    })),
  ],
  [
    "fails",
    "brings a registry's keys back",
    faulty(() => ({
      setMany: () => Effect.fail(new Persistence.PersistenceError({ message: "full" })),
    })),
  ],
  ["dies", "reads back", faulty(() => ({ set: () => Effect.die(new Error("no table")) }))],
]

describe("The contract of stores", () => {
  it.live("holds for memory, twice", () =>
    Effect.gen(function* () {
      const broken = brokenBy(Layer.fresh(Persistence.layerMemory))
      assert.deepStrictEqual([yield* broken, yield* broken], [[], []])
    }),
  )

  for (const [what, rule, backend] of faults) {
    it.live(`is broken by a backend that ${what}`, () =>
      Effect.gen(function* () {
        assert.isNotEmpty(yield* brokenBy(backend, rule))
      }),
    )
  }
})
