/**
 * A `Persistence` that tells, before and after, which snapshots are being written.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"

/** Told at once and in order: whoever kills the process knows how far it was. */
export type Tell = (mark: string) => void

const kid = /"kid":"([^"]+)"/

const kidIn = (exit: Exit.Exit<unknown, unknown>): string =>
  (Exit.isSuccess(exit) && typeof exit.value === "string" && kid.exec(exit.value)?.[1]) || "none"

/** The same, over another layer. */
export const watched = (
  inner: Layer.Layer<Persistence.Persistence>,
  tell: Tell,
): Layer.Layer<Persistence.Persistence> =>
  Layer.effect(
    Persistence.Persistence,
    Effect.map(Persistence.Persistence, (persistence) =>
      Persistence.Persistence.of({
        make: (options) =>
          Effect.map(persistence.make(options), (store): Persistence.PersistenceStore => ({
            ...store,
            setMany: (entries) => {
              const all = Array.from(entries)
              const kids = all.map(([, exit]) => kidIn(exit))
              return Effect.suspend(() => {
                tell(`begin ${kids.join(" ")}`)
                return Effect.tap(store.setMany(all), () => Effect.sync(() => tell(`end ${kids.join(" ")}`)))
              })
            },
          })),
      }),
    ),
  ).pipe(Layer.provide(inner))
