/**
 * A key-value store in a directory: one file for each key, which is replaced as a whole or not at all.
 *
 * Two operations are under way at a time, and none is given up before it is over: on a file system that
 * hangs, each would hold one of the four threads that Node has for files, names and hashes, and with the
 * fourth no host name could be looked up any more.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import { type PlatformError, systemError } from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"
import { createHash, randomUUID } from "node:crypto"
import * as path from "node:path"
import { entryName, hasPrefix, isEntryName, isTemporaryName, keyOf, temporaryName } from "./EntryName.ts"

/** Bytes; more than any snapshot has. */
const maxEntryBytes = 128 * 1_048_576

/** Milliseconds after which nobody is writing a temporary file any more. */
const abandonedAfter = 10 * 60_000

/** Milliseconds between two looks for abandoned files. */
const sweepEvery = 60 * 60_000

const decoder = new TextDecoder()

/** The store in a directory, which is made when something is written. */
export const makeEntryFiles = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const clock = yield* Clock.Clock
  const lanes = [Semaphore.makeUnsafe(1), Semaphore.makeUnsafe(1)] as const
  let sweptAt: number | undefined

  const fileOf = (key: string): string => path.join(directory, entryName(key))

  /** What concerns one key is done in order: a write that hung can not come after a later one. */
  const inLane = <A>(
    method: string,
    key: string | undefined,
    operation: Effect.Effect<A, PlatformError>,
  ): Effect.Effect<A, KeyValueStore.KeyValueStoreError> => {
    const lane = key === undefined ? 0 : (createHash("sha256").update(key).digest()[0] ?? 0) & 1
    return (lane === 0 ? lanes[0] : lanes[1])
      .withPermits(1)(Effect.uninterruptible(operation))
      .pipe(
        Effect.mapError(
          (cause) =>
            new KeyValueStore.KeyValueStoreError({
              method,
              ...(key !== undefined && { key }),
              message: `Unable to ${method} in the directory`,
              cause,
            }),
        ),
      )
  }

  const read = Effect.fnUntraced(function* (file: string) {
    const { size, type } = yield* fs.stat(file)
    // A pipe would be waited for without end.
    if (type !== "File" || size > maxEntryBytes) return yield* notAnEntry(file)
    return yield* fs.readFile(file)
  })

  const get = (key: string) =>
    inLane(
      "get",
      key,
      Effect.suspend(() => Effect.catchIf(read(fileOf(key)), isNotFound, () => Effect.undefined)),
    )

  const write = (file: string, bytes: Uint8Array) =>
    Effect.suspend(() => {
      const temporary = path.join(directory, temporaryName(randomUUID()))
      return fs.writeFile(temporary, bytes, { flag: "wx", mode: 0o600 }).pipe(
        Effect.andThen(fs.rename(temporary, file)),
        Effect.tapError(() => Effect.ignore(fs.remove(temporary, { force: true }))),
      )
    })

  const makeDirectory = fs.makeDirectory(directory, { recursive: true, mode: 0o700 })

  /** Removes what was left behind by those that were killed in the middle of a write. */
  const sweep = Effect.suspend(() => {
    const now = clock.currentTimeMillisUnsafe()
    if (sweptAt !== undefined && now >= sweptAt && now - sweptAt < sweepEvery) return Effect.void
    sweptAt = now
    const removeAbandoned = (file: string) =>
      Effect.flatMap(fs.stat(file), ({ mtime }) =>
        Option.exists(mtime, (date) => now - date.getTime() > abandonedAfter)
          ? fs.remove(file, { force: true })
          : Effect.void,
      )
    return Effect.flatMap(fs.readDirectory(directory), (names) =>
      Effect.forEach(
        names.filter(isTemporaryName),
        (name) => Effect.ignore(removeAbandoned(path.join(directory, name))),
        { discard: true },
      ),
    )
  })

  const set = (key: string, value: string | Uint8Array) =>
    inLane(
      "set",
      key,
      Effect.suspend(() => {
        const once = write(fileOf(key), typeof value === "string" ? Buffer.from(value) : value)
        return once.pipe(
          Effect.catchIf(isNotFound, () => Effect.andThen(makeDirectory, once)),
          Effect.tap(() => Effect.ignore(sweep)),
        )
      }),
    )

  const entries = fs.readDirectory(directory).pipe(
    Effect.catchIf(isNotFound, () => Effect.succeed<Array<string>>([])),
    Effect.map((names) => names.filter(isEntryName)),
  )

  const clearPrefix = (prefix: string) =>
    inLane(
      "clear",
      undefined,
      Effect.flatMap(entries, (names) =>
        Effect.forEach(
          names.filter((name) => hasPrefix(name, prefix)),
          (name) => fs.remove(path.join(directory, name), { force: true }),
          { discard: true },
        ),
      ),
    )

  return KeyValueStore.make({
    get: (key) => Effect.map(get(key), (bytes) => bytes && decoder.decode(bytes)),
    getUint8Array: get,
    set,
    remove: (key) =>
      inLane(
        "remove",
        key,
        Effect.suspend(() => fs.remove(fileOf(key), { force: true })),
      ),
    clear: clearPrefix(""),
    clearPrefix,
    size: inLane(
      "list",
      undefined,
      Effect.map(entries, (names) => names.length),
    ),
    keys: inLane(
      "list",
      undefined,
      Effect.map(entries, (names) => names.map(keyOf)),
    ),
  })
})

const isNotFound = (error: PlatformError): boolean => error.reason._tag === "NotFound"

/** As of a text that is no JSON, so that it counts as torn, and not as a fault of the store. */
const notAnEntry = (file: string): PlatformError =>
  systemError({
    _tag: "InvalidData",
    module: "FileSystem",
    method: "readFile",
    pathOrDescriptor: file,
    cause: new SyntaxError("no file that can be an entry"),
  })
