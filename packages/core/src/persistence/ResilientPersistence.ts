/**
 * A `Persistence` that is there at once, whatever it stands on: a database that is down when the
 * application starts must not keep a cache from starting.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { withinMachineTime } from "./MachineTime.ts"
import { storeCode } from "./StoreCode.ts"

type Service = Persistence.Persistence["Service"]

/** Delays between two tries, in milliseconds. */
const firstDelay = 1_000
const maxDelay = 30_000

/** Longest try, in milliseconds: a connection into nowhere may not come back by itself. */
const buildTimeout = 60_000

/** How long the end of what was built is waited for, in milliseconds. */
const closeTimeout = 2_000

/** Between 1 s and 2 s, 4 s, 8 s, ... 30 s. */
const backoff = Schedule.min([Schedule.exponential(2 * firstDelay), Schedule.spaced(maxDelay)]).pipe(
  Schedule.modifyDelay(({ duration }) =>
    Effect.map(Random.next, (random) =>
      Duration.millis(firstDelay + random * (Duration.toMillis(duration) - firstDelay)),
    ),
  ),
)

/**
 * Makes a layer of `Persistence` that neither fails nor waits out of one that may fail, die or hang while it is
 * built, as that of a database that is down does.
 *
 * **Details**
 *
 * The given layer is built in the background: again after each failure, at random between 1 s and 2 s, 4 s, ... 30 s,
 * until it stands; one try has 60 s. During the first try operations wait for it, as long as whoever asks for them
 * does; between a failure and the next success they fail at once with a `PersistenceError`, whose cause holds
 * the code of the last failure. A failure is logged once, by its code, and so is
 * that it stands after all. Closing waits at most 2 s for what was built.
 *
 * **Gotchas**
 *
 * The given layer is built with layers of its own, also where the application uses the same ones elsewhere.
 * Once it stands, what becomes of it is up to its client: it should connect again by itself, and not queue
 * while it can not.
 *
 * **Example** (A store that can not be built)
 *
 * ```ts
 * import { resilientPersistence } from "@effect-jwks/core"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Persistence from "effect/persistence/Persistence"
 *
 * const down = Layer.effect(Persistence.Persistence, Effect.fail("refused"))
 *
 * const program = Effect.gen(function* () {
 *   const persistence = yield* Persistence.Persistence
 *   const store = yield* persistence.make({ storeId: "snapshots" })
 *   const error = yield* Effect.flip(store.clear)
 *   return error._tag // => "PersistenceError"
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(resilientPersistence(down))))
 * ```
 */
export const resilientPersistence = <E, R>(
  layer: Layer.Layer<Persistence.Persistence, E, R>,
): Layer.Layer<Persistence.Persistence, never, R> =>
  Layer.effect(
    Persistence.Persistence,
    Effect.gen(function* () {
      const building = new Building(layer)
      yield* Effect.acquireRelease(Effect.forkDetach(building.untilItStands, { startImmediately: true }), (fiber) =>
        building.close(fiber),
      )
      return Persistence.Persistence.of({
        // Made when it is used: before that there may be nothing to make it of.
        make: (options) => Effect.map(Effect.scope, (scope) => lazyStore(building, options, scope)),
      })
    }),
  )

/** One try to build a layer, in a scope of its own. */
interface Attempt {
  readonly scope: Scope.Closeable
  readonly fiber: Fiber.Fiber<Context.Context<Persistence.Persistence>, unknown>
}

/** A layer that is being built, or stands. */
class Building<E, R> {
  readonly #layer: Layer.Layer<Persistence.Persistence, E, R>
  #latest: Attempt | undefined
  #hasFailed = false
  /** Completed once the first try has ended: a process that starts would find nothing if it did not wait for that. */
  readonly tried = Deferred.makeUnsafe<void>()
  /** What was built, or why there is nothing. */
  built: Exit.Exit<Service, Persistence.PersistenceError> = absent(undefined)

  constructor(layer: Layer.Layer<Persistence.Persistence, E, R>) {
    this.#layer = layer
  }

  get untilItStands(): Effect.Effect<void, never, R> {
    return this.#attempt.pipe(
      Effect.retry(backoff),
      // The schedule never ends.
      Effect.ignore,
      Effect.andThen(
        Effect.suspend(() =>
          this.#hasFailed ? Effect.logInfo("the persistence could be built after all") : Effect.void,
        ),
      ),
    )
  }

  /** Stops building, and closes what was built. */
  close(building: Fiber.Fiber<void>): Effect.Effect<void> {
    return Effect.suspend(() => {
      building.interruptUnsafe()
      this.#becomes(absent(undefined))
      return this.#latest === undefined ? Effect.void : ended(this.#latest)
    })
  }

  get #attempt(): Effect.Effect<void, "failed", R> {
    return Effect.gen({ self: this }, function* () {
      const scope = Scope.makeUnsafe()
      // With layers of its own: a failed one would be remembered.
      const build = Layer.buildWithMemoMap(this.#layer, Layer.makeMemoMapUnsafe(), scope)
      const fiber = yield* Effect.forkDetach(build, { startImmediately: true })
      const attempt = { fiber, scope }
      this.#latest = attempt
      const exit = yield* Fiber.await(fiber).pipe(
        Effect.timeoutOrElse({ duration: buildTimeout, orElse: () => Effect.succeed(undefined) }),
      )
      if (exit !== undefined && Exit.isSuccess(exit)) {
        this.#becomes(Exit.succeed(Context.get(exit.value, Persistence.Persistence)))
        return
      }
      const code = exit === undefined ? "ETIMEDOUT" : storeCode(Cause.squash(exit.cause))
      this.#becomes(absent(code))
      yield* this.#tell(code)
      yield* ended(attempt)
      return yield* Effect.fail("failed" as const)
    })
  }

  #becomes(built: Exit.Exit<Service, Persistence.PersistenceError>): void {
    this.built = built
    Deferred.doneUnsafe(this.tried, Effect.void)
  }

  #tell(code: string | undefined): Effect.Effect<void> {
    if (this.#hasFailed) return Effect.void
    this.#hasFailed = true
    return Effect.logWarning(
      `the persistence can not be built${code === undefined ? "" : ` (${code})`}; it is tried again until it can`,
    )
  }
}

/** A store of what is built, made by its first use and in the scope of who asked for it. */
const lazyStore = (
  building: {
    readonly tried: Deferred.Deferred<void>
    readonly built: Exit.Exit<Service, Persistence.PersistenceError>
  },
  options: Parameters<Service["make"]>[0],
  scope: Scope.Scope,
): Persistence.PersistenceStore => {
  let making: Fiber.Fiber<Persistence.PersistenceStore> | undefined
  const make = (service: Service): Effect.Effect<Persistence.PersistenceStore, Persistence.PersistenceError> =>
    Effect.flatMap(
      // In a fiber of its own: whoever comes first may leave before it is made.
      making === undefined
        ? Effect.forkDetach(Scope.provide(service.make(options), scope), { startImmediately: true })
        : Effect.succeed(making),
      (fiber) => {
        making = fiber
        return Effect.flatMap(Fiber.await(fiber), (exit) => {
          if (Exit.isSuccess(exit)) return exit
          if (making === fiber) making = undefined
          return absent(storeCode(Cause.squash(exit.cause)))
        })
      },
    )
  const made = Effect.andThen(
    Deferred.await(building.tried),
    Effect.suspend(() => Effect.flatMap(building.built, make)),
  )
  return {
    get: (key) => Effect.flatMap(made, (store) => store.get(key)),
    getMany: (keys) => Effect.flatMap(made, (store) => store.getMany(keys)),
    set: (key, value) => Effect.flatMap(made, (store) => store.set(key, value)),
    setMany: (entries) => Effect.flatMap(made, (store) => store.setMany(entries)),
    remove: (key) => Effect.flatMap(made, (store) => store.remove(key)),
    clear: Effect.flatMap(made, (store) => store.clear),
  }
}

/** How every operation ends while there is nothing; made once, since a fresh error costs its stack. */
const absent = (code: string | undefined): Exit.Exit<never, Persistence.PersistenceError> =>
  Exit.fail(
    new Persistence.PersistenceError({
      message: "the persistence is not there",
      ...(code === undefined ? {} : { cause: { code } }),
    }),
  )

/**
 * Ends an attempt, and waits for that at most {@link closeTimeout}: a client may put it off as long as it likes. What
 * is being built ends first, since its client may not be one that can be closed before.
 */
const ended = ({ fiber, scope }: Attempt): Effect.Effect<void> =>
  Effect.suspend(() => {
    fiber.interruptUnsafe()
    return waitAtMost(Effect.asVoid(Fiber.await(fiber)), closeTimeout / 2)
  }).pipe(Effect.andThen(waitAtMost(Scope.close(scope, Exit.void), closeTimeout / 2)))

/** Waits for an effect, but no longer than `millis` of the machine's clock, and not for its interruption. */
const waitAtMost = (effect: Effect.Effect<void>, millis: number): Effect.Effect<void> =>
  Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) =>
    withinMachineTime(Fiber.await(fiber), millis),
  )
