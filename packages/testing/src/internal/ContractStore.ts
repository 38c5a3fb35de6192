/**
 * A store as the rules of the contract see it: texts under ids, as the registry stores them.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Persistable from "effect/persistence/Persistable"
import * as Persistence from "effect/persistence/Persistence"
import * as PrimaryKey from "effect/PrimaryKey"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** What the registry's own keys look like to a backend. */
class TextKey implements Persistable.Persistable<typeof Schema.String, typeof Schema.Never> {
  readonly [Persistable.symbol] = { success: Schema.String, error: Schema.Never }
  readonly id: string
  readonly timeToLive: Duration.Input

  constructor(id: string, timeToLive: Duration.Input = "1 hour") {
    this.id = id
    this.timeToLive = timeToLive
  }

  [PrimaryKey.symbol](): string {
    return this.id
  }
}

/** What an operation can fail with. */
export type StoreError = Persistence.PersistenceError | Schema.SchemaError

/** A text with its id. */
export interface Entry {
  readonly id: string
  readonly text: string
  /** Default: one hour. */
  readonly timeToLive?: Duration.Input
}

/** Texts by their ids. */
export interface ContractStore {
  readonly write: (entry: Entry) => Effect.Effect<void, StoreError>
  readonly writeMany: (entries: ReadonlyArray<Entry>) => Effect.Effect<void, StoreError>
  readonly read: (id: string) => Effect.Effect<string | undefined, StoreError>
  readonly readMany: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string | undefined>, StoreError>
  readonly remove: (id: string) => Effect.Effect<void, Persistence.PersistenceError>
}

const textOf = (exit: Exit.Exit<string, never> | undefined): string | undefined =>
  exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined

/** Removals at the end that do not get on are given up. */
const longestCleanUp = "5 seconds"

/** Opens a store, which is empty again when the scope closes. */
export const openContractStore: (
  storeId: string,
) => Effect.Effect<ContractStore, never, Persistence.Persistence | Scope.Scope> = Effect.fnUntraced(
  function* (storeId) {
    const persistence = yield* Persistence.Persistence
    const store = yield* persistence.make({
      storeId,
      timeToLive: (_, key) => (key instanceof TextKey ? key.timeToLive : 0),
    })
    const written = new Set<string>()
    yield* Effect.addFinalizer(() =>
      Effect.forEach(written, (id) => Effect.ignore(store.remove(new TextKey(id))), {
        concurrency: 16,
        discard: true,
      }).pipe(Effect.timeoutOrElse({ duration: longestCleanUp, orElse: () => Effect.void })),
    )
    const keyOf = ({ id, timeToLive }: Entry) => {
      written.add(id)
      return new TextKey(id, timeToLive)
    }
    return {
      write: (entry) => Effect.suspend(() => store.set(keyOf(entry), Exit.succeed(entry.text))),
      writeMany: (entries) =>
        Effect.suspend(() => store.setMany(entries.map((entry) => [keyOf(entry), Exit.succeed(entry.text)] as const))),
      read: (id) =>
        Effect.map(
          Effect.suspend(() => store.get(new TextKey(id))),
          textOf,
        ),
      readMany: (ids) =>
        Effect.map(
          Effect.suspend(() => store.getMany(ids.map((id) => new TextKey(id)))),
          (exits) => exits.map(textOf),
        ),
      remove: (id) => Effect.suspend(() => store.remove(new TextKey(id))),
    }
  },
)
