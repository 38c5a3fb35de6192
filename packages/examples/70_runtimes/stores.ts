/**
 * Where an edge platform keeps snapshots: in the bundle, and in its key-value store.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Persistence from "effect/persistence/Persistence"

/** What a Worker's binding to a namespace of Workers KV offers, as far as it is used. */
export interface KVNamespace {
  readonly get: (key: string) => Promise<string | null>
  readonly put: (key: string, value: string, options?: { readonly expirationTtl?: number }) => Promise<void>
  readonly delete: (key: string) => Promise<void>
}

const attempt = <A>(method: string, key: string, operation: () => Promise<A>) =>
  Effect.tryPromise({
    try: operation,
    catch: (cause) => new KeyValueStore.KeyValueStoreError({ message: "the store failed", method, key, cause }),
  })

const notOffered = (method: string): Effect.Effect<never, KeyValueStore.KeyValueStoreError> =>
  Effect.fail(new KeyValueStore.KeyValueStoreError({ message: "is not offered", method }))

/** Snapshots are read, written and removed by their keys; nobody lists them. */
const unlisted = { clear: notOffered("clear"), size: notOffered("size"), keys: notOffered("keys") }

/** Longer than any set is of use: Workers KV forgets what nobody writes any more. */
const month = 30 * 24 * 3_600

/** Snapshots in Workers KV. */
export const layerKv = (binding: KVNamespace): Layer.Layer<Persistence.Persistence> =>
  storedIn(
    KeyValueStore.makeStringOnly({
      get: (key) =>
        Effect.map(
          attempt("get", key, () => binding.get(key)),
          (value) => value ?? undefined,
        ),
      set: (key, value) => attempt("set", key, () => binding.put(key, value, { expirationTtl: month })),
      remove: (key) => attempt("remove", key, () => binding.delete(key)),
      ...unlisted,
    }),
  )

/** Snapshots in a map, such as one that a build has filled in the bundle. */
export const layerMap = (map: Map<string, string>): Layer.Layer<Persistence.Persistence> =>
  storedIn(
    KeyValueStore.makeStringOnly({
      get: (key) => Effect.sync(() => map.get(key)),
      set: (key, value) => Effect.sync(() => void map.set(key, value)),
      remove: (key) => Effect.sync(() => void map.delete(key)),
      ...unlisted,
    }),
  )

const storedIn = (store: KeyValueStore.KeyValueStore) =>
  Layer.provide(Persistence.layerKvs, Layer.succeed(KeyValueStore.KeyValueStore, store))
