import { assert, describe, it } from "@effect/vitest"
import {
  type InvalidRegistration,
  type JwksEvent,
  JwksMetrics,
  JwksRegistry,
  type JwksRegistryOptions,
  type JwksRegistryService,
} from "@effect-jwks/core"
import { type IdentityProvider, persistenceContract, ScriptedProvider } from "@effect-jwks/testing"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Persistence from "effect/persistence/Persistence"
import { type PlatformError, systemError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { FilePersistence, type FilePersistenceOptions } from "../src/index.ts"
import { makeEntryFiles } from "../src/internal/EntryFiles.ts"
import { quietly } from "./support/Registry.ts"

/** A path in a new directory, where nothing is yet. */
const freshPath = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "jwks-files-"))),
    (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true })),
  ),
  (directory) => path.join(directory, "a", "b"),
)

/** The files of a directory, as their full paths. */
const filesIn = (directory: string): ReadonlyArray<string> =>
  fs.existsSync(directory) ? fs.readdirSync(directory).map((name) => path.join(directory, name)) : []

/** The one file of a directory. */
const onlyFile = (directory: string): string => {
  const [file, ...others] = filesIn(directory)
  return file !== undefined && others.length === 0 ? file : assert.fail(`holds ${filesIn(directory).join(", ")}`)
}

type Store = Layer.Layer<Persistence.Persistence, InvalidRegistration>

const options: JwksRegistryOptions = {
  snapshotKey: "a key of 32 bytes, more or less.",
  defaults: { retryPolicy: { maxRetries: 0 } },
}

/** Collects events, and waits for one that is to come or was there since the last call. */
const eventsOf = Effect.fnUntraced(function* (registry: JwksRegistryService) {
  const all: Array<JwksEvent> = []
  const subscribe = (tag: JwksEvent["_tag"], isIt: (event: JwksEvent) => boolean = () => true) =>
    Effect.forkScoped(
      registry.events.pipe(
        Stream.filter((event) => event._tag === tag && isIt(event)),
        Stream.runHead,
      ),
      { startImmediately: true },
    )
  yield* Effect.forkScoped(
    Stream.runForEach(registry.events, (event) => Effect.sync(() => all.push(event))),
    { startImmediately: true },
  )
  return { all, subscribe }
})

/** One run of an application: its registry over a store, closed when the scope closes. */
const openRun = Effect.fnUntraced(function* (store: Store, idps: ReadonlyArray<IdentityProvider>) {
  const context = yield* Layer.build(
    JwksRegistry.layer(options).pipe(
      Layer.provide([store, ScriptedProvider.layerClient(...idps), JwksMetrics.layerNoop]),
    ),
  )
  const registry = Context.get(context, JwksRegistry)
  const events = yield* eventsOf(registry)
  for (const [index, { jwksUrl }] of idps.entries()) {
    yield* registry.register({ tenant: `tenant-${index}`, provider: "idp", jwksUrl })
  }
  /** The key of a provider, and how long it took. */
  const resolve = (index = 0) =>
    Effect.suspend(() => {
      const before = performance.now()
      const { kid, thumbprint } = idps[index]?.keys.current ?? assert.fail("no such provider")
      return Effect.map(registry.resolveKey(`tenant-${index}`, kid), (key) => {
        assert.deepStrictEqual([key.thumbprint, key.freshness], [thumbprint, "fresh"])
        return performance.now() - before
      })
    })
  return { registry, resolve, ...events }
})

/** A run that resolves the keys of every provider, and closes. */
const wholeRun = (store: Store, idps: ReadonlyArray<IdentityProvider>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { all, resolve } = yield* openRun(store, idps)
      for (const index of idps.keys()) yield* resolve(index)
      return all
    }),
  )

const makeIdp = (name = "idp") =>
  ScriptedProvider.make({ issuer: `https://${name}.test`, response: { cacheControl: "max-age=3600" } })

const rulesIn = (events: ReadonlyArray<JwksEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => (event._tag === "SnapshotIgnored" || event._tag === "SnapshotFailed" ? [event.rule] : []))

/** Node's file system with some operations done otherwise. */
const fileSystemWith = (change: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (nodes) => ({ ...nodes, ...change(nodes) })),
  ).pipe(Layer.provide(NodeFileSystem.layer))

const over = (directory: string, fileSystem: Layer.Layer<FileSystem.FileSystem>): Store =>
  Layer.provide(FilePersistence.layerNoFileSystem({ directory }), fileSystem)

/** The longest that a question waits for a store, and the time of a slow machine, in milliseconds. */
const longestWait = 250 + 750

describe("The contract of stores", () => {
  const backends: Readonly<Record<string, (directory: string) => Layer.Layer<Persistence.Persistence, unknown>>> = {
    "Persistence.layerMemory": () => Layer.fresh(Persistence.layerMemory),
    "KeyValueStore.layerFileSystem": (directory) =>
      Layer.fresh(Persistence.layerKvs).pipe(
        Layer.provide(KeyValueStore.layerFileSystem(directory)),
        Layer.provide([NodeFileSystem.layer, NodePath.layer]),
      ),
    FilePersistence: (directory) => FilePersistence.layer({ directory }),
  }
  for (const [name, backend] of Object.entries(backends)) {
    describe(`over ${name}`, () => {
      for (const rule of persistenceContract) {
        // Effect's files are written where they are, so whoever reads meanwhile finds half of them.
        if (name === "KeyValueStore.layerFileSystem" && rule.name.includes("concurrent writes")) continue
        it.live(rule.name, () => Effect.flatMap(freshPath, (directory) => Effect.provide(rule.run, backend(directory))))
      }
    })
  }
})

describe("FilePersistence", () => {
  it.live("answers from its files after a restart, without a request", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const store = FilePersistence.layer({ directory })
      const idp = yield* makeIdp()
      yield* wholeRun(store, [idp])
      yield* idp.faults.refuse()
      const events = yield* wholeRun(store, [idp])
      assert.isTrue(events.some(({ _tag }) => _tag === "SnapshotRestored"))
      assert.strictEqual(idp.ok, 1)
    }).pipe(quietly),
  )

  it.live("makes its directory when it writes, again where it vanished, for its user alone", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const idp = yield* makeIdp()
      const { registry, resolve } = yield* openRun(FilePersistence.layer({ directory }), [idp])
      assert.isFalse(fs.existsSync(directory))
      yield* resolve()
      for (let round = 0; round < 2; round++) {
        assert.deepStrictEqual(yield* registry.persistAll, { done: 1, skipped: 0, failed: [] })
        assert.strictEqual(fs.statSync(directory).mode & 0o777, 0o700)
        assert.strictEqual(fs.statSync(onlyFile(directory)).mode & 0o777, 0o600)
        fs.rmSync(directory, { recursive: true })
      }
    }),
  )

  it.live("refuses torn files, fetches, and writes them anew", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const store = FilePersistence.layer({ directory })
      const idp = yield* makeIdp()
      yield* wholeRun(store, [idp])
      const file = onlyFile(directory)
      const whole = fs.readFileSync(file)
      const torn = [
        ...Array.from({ length: Math.ceil(whole.length / 50) }, (_, index) => whole.subarray(0, 50 * index)),
        Buffer.from("<html>"),
        Buffer.from("{}"),
        Buffer.from("[{},null]"),
        Buffer.from('[{"_tag":"Success","value":5},null]'),
        Buffer.alloc(whole.length, 0xff),
        Buffer.alloc(whole.length),
        Buffer.concat([whole, Buffer.from("x")]),
      ]
      assert.isAbove(torn.length, 20)
      for (const [index, bytes] of torn.entries()) {
        fs.writeFileSync(file, bytes)
        const before = idp.ok
        const events = yield* wholeRun(store, [idp])
        assert.strictEqual(idp.ok, before + 1)
        assert.isFalse(events.some(({ _tag }) => _tag === "SnapshotRestored"))
        // What Effect's own layer takes for absent is not told.
        if (bytes.toString() !== "{}") assert.lengthOf(rulesIn(events), 1, `torn file ${index}`)
        assert.deepStrictEqual(
          (yield* wholeRun(store, [idp])).flatMap(({ _tag }) => (_tag === "SnapshotRestored" ? [_tag] : [])),
          ["SnapshotRestored"],
        )
        assert.strictEqual(idp.ok, before + 1)
      }
    }).pipe(quietly),
  )

  it.live("brings the others back where some files are torn", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const store = FilePersistence.layer({ directory })
      const idps = yield* Effect.forEach(["a", "b", "c", "d"], makeIdp)
      yield* wholeRun(store, idps)
      const [first, , third] = filesIn(directory).toSorted()
      if (first === undefined || third === undefined) return assert.fail("not written")
      fs.truncateSync(first, 100)
      fs.rmSync(third)
      fs.mkdirSync(third)
      yield* wholeRun(store, idps)
      assert.deepStrictEqual(
        idps.map(({ ok }) => ok),
        [2, 1, 2, 1],
      )
    }).pipe(quietly),
  )

  it.live("does not read what is no file, or far too large, and takes its place", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const store = FilePersistence.layer({ directory })
      const idp = yield* makeIdp()
      yield* wholeRun(store, [idp])
      const file = onlyFile(directory)
      const places: ReadonlyArray<() => void> = [
        // Whoever reads it reads without end.
        () => fs.symlinkSync("/dev/zero", file),
        () => {
          fs.writeFileSync(file, "")
          fs.truncateSync(file, 129 * 1_048_576)
        },
      ]
      for (const [index, place] of places.entries()) {
        fs.rmSync(file)
        place()
        const rules = rulesIn(yield* wholeRun(store, [idp]))
        assert.deepStrictEqual(rules, ["is no JSON: torn or overwritten"])
        assert.strictEqual(idp.ok, index + 2)
        assert.isTrue(fs.lstatSync(onlyFile(directory)).isFile())
      }
    }).pipe(quietly),
  )

  it.live("refuses the file of another provider", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const store = FilePersistence.layer({ directory })
      const idps = [yield* makeIdp("acme"), yield* makeIdp("globex")]
      yield* wholeRun(store, idps)
      const [acmes, globexs] = filesIn(directory).toSorted()
      if (acmes === undefined || globexs === undefined) return assert.fail("not written")
      fs.copyFileSync(acmes, globexs)
      const events = yield* wholeRun(store, idps)
      assert.deepStrictEqual(
        idps.map(({ ok }) => ok),
        [1, 2],
      )
      assert.deepStrictEqual(rulesIn(events), ["is not signed with a key of this registry"])
    }).pipe(quietly),
  )

  it.live("leaves the former file whole where the disk is full, and nothing beside it, until there is room", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      let isFull = false
      const fileSystem = fileSystemWith((nodes) => ({
        writeFile: (file, bytes, how) =>
          isFull
            ? Effect.andThen(nodes.writeFile(file, bytes.subarray(0, 100), how), Effect.fail(noSpace(file)))
            : nodes.writeFile(file, bytes, how),
      }))
      const idp = yield* makeIdp()
      const { all, registry, resolve, subscribe } = yield* openRun(over(directory, fileSystem), [idp])
      yield* resolve()
      yield* registry.persistAll
      const former = fs.readFileSync(onlyFile(directory))

      isFull = true
      const failed = yield* subscribe("SnapshotFailed")
      yield* idp.keys.rotate({ keepOld: false })
      yield* registry.refresh("tenant-0", "idp")
      assert.isBelow(yield* resolve(), longestWait)
      yield* Fiber.join(failed)
      assert.deepStrictEqual(rulesIn(all), ["the store failed (ENOSPC)"])
      assert.strictEqual((yield* Effect.flip(registry.persistAll))._tag, "PersistenceFailed")
      assert.deepStrictEqual(fs.readFileSync(onlyFile(directory)), former)

      const recovered = yield* subscribe("SnapshotStoreRecovered")
      isFull = false
      yield* Fiber.join(recovered)
      assert.notDeepEqual(fs.readFileSync(onlyFile(directory)), former)
    }).pipe(quietly),
  )

  it.live("does without a directory that can be neither made nor read, and takes it when it is there", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      // Root may write into any directory, but not into a file.
      const file = path.dirname(directory)
      fs.writeFileSync(file, "")
      const idp = yield* makeIdp()
      const { all, registry, resolve, subscribe } = yield* openRun(FilePersistence.layer({ directory }), [idp])
      const failed = yield* subscribe("SnapshotFailed", (event) => "operation" in event && event.operation === "write")
      assert.isBelow(yield* resolve(), longestWait)
      yield* Fiber.join(failed)
      assert.deepStrictEqual(rulesIn(all), ["the store failed (ENOTDIR)", "the store failed (ENOTDIR)"])
      assert.strictEqual((yield* Effect.flip(registry.persistAll))._tag, "PersistenceFailed")
      yield* registry.refresh("tenant-0", "idp")

      const recovered = yield* subscribe("SnapshotStoreRecovered")
      fs.rmSync(file)
      yield* Fiber.join(recovered)
      onlyFile(directory)
    }).pipe(quietly),
  )

  it.live("has two operations under way on a file system that hangs, and goes on when it answers", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const latch = yield* Latch.make(false)
      let underWay = 0
      let most = 0
      const hanging = <A>(operation: Effect.Effect<A, PlatformError>) =>
        Effect.suspend(() => {
          most = Math.max(most, ++underWay)
          return Latch.whenOpen(latch, operation).pipe(Effect.ensuring(Effect.sync(() => underWay--)))
        })
      const fileSystem = fileSystemWith((nodes) => ({
        stat: (file) => hanging(nodes.stat(file)),
        readFile: (file) => hanging(nodes.readFile(file)),
        writeFile: (file, bytes, how) => hanging(nodes.writeFile(file, bytes, how)),
        rename: (from, to) => hanging(nodes.rename(from, to)),
        remove: (file, how) => hanging(nodes.remove(file, how)),
        makeDirectory: (file, how) => hanging(nodes.makeDirectory(file, how)),
        readDirectory: (file, how) => hanging(nodes.readDirectory(file, how)),
      }))
      const idps = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, index) => `idp-${index}`),
        makeIdp,
      )
      const { all, registry, resolve, subscribe } = yield* openRun(over(directory, fileSystem), idps)
      const failed = yield* subscribe("SnapshotFailed", (event) => "operation" in event && event.operation === "write")
      const waits = yield* Effect.forEach(idps, (_, index) => resolve(index), { concurrency: "unbounded" })
      for (const wait of waits) assert.isBelow(wait, longestWait)
      yield* Effect.forEach(idps, (_, index) => registry.refresh(`tenant-${index}`, "idp"))
      yield* Fiber.join(failed)
      assert.includeMembers(
        [...rulesIn(all)],
        ["the store did not answer within 2000 ms", "the store did not answer within 5000 ms"],
      )
      assert.strictEqual(most, 2)

      const recovered = yield* subscribe(
        "SnapshotStoreRecovered",
        (event) => "operation" in event && event.operation === "write",
      )
      yield* Latch.open(latch)
      yield* Fiber.join(recovered)
      assert.deepStrictEqual((yield* registry.persistAll).done, 8)
      assert.lengthOf(filesIn(directory), 8)
    }).pipe(quietly),
  )

  it.live("waits for a slow file system, but not for long", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const idp = yield* makeIdp()
      yield* wholeRun(FilePersistence.layer({ directory }), [idp])
      const slow = (delay: number) =>
        over(
          directory,
          fileSystemWith((nodes) => ({ stat: (file) => Effect.delay(nodes.stat(file), delay) })),
        )
      // Within 250 ms: nothing is downloaded. Later: it is.
      yield* wholeRun(slow(20), [idp])
      assert.strictEqual(idp.ok, 1)
      const { resolve } = yield* openRun(slow(1_000), [idp])
      assert.isBelow(yield* resolve(), longestWait)
      assert.strictEqual(idp.ok, 2)
    }).pipe(quietly),
  )

  it.live("keeps the order of what is done to one key, whatever hangs", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const latch = yield* Latch.make(false)
      let writes = 0
      const fileSystem = fileSystemWith((nodes) => ({
        writeFile: (file, bytes, how) =>
          ++writes === 1 ? Latch.whenOpen(latch, nodes.writeFile(file, bytes, how)) : nodes.writeFile(file, bytes, how),
      }))
      const keyValueStore = yield* Effect.provide(makeEntryFiles(directory), fileSystem)
      const first = yield* Effect.forkChild(keyValueStore.set("key", "first"), { startImmediately: true })
      first.interruptUnsafe()
      const second = yield* Effect.forkChild(keyValueStore.set("key", "second"), { startImmediately: true })
      yield* Latch.open(latch)
      yield* Fiber.join(second)
      yield* Fiber.await(first)
      assert.strictEqual(yield* keyValueStore.get("key"), "second")
    }),
  )

  it.live("shows the former file until the new one is whole, also to other processes", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const goOn = yield* Latch.make(false)
      yield* Effect.addFinalizer(() => Latch.open(goOn))
      const halfWritten = yield* Latch.make(false)
      const others = yield* Effect.provide(makeEntryFiles(directory), NodeFileSystem.layer)
      const slow = yield* Effect.provide(
        makeEntryFiles(directory),
        fileSystemWith((nodes) => ({
          writeFile: (file, bytes, how) =>
            nodes
              .writeFile(file, bytes.subarray(0, bytes.length >> 1), how)
              .pipe(
                Effect.andThen(Latch.open(halfWritten)),
                Effect.andThen(Latch.whenOpen(goOn, nodes.writeFile(file, bytes))),
              ),
        })),
      )
      yield* others.set("key", "former")
      const writing = yield* Effect.forkChild(slow.set("key", "the new one"))
      yield* Latch.whenOpen(halfWritten, Effect.void)
      assert.strictEqual(yield* others.get("key"), "former")
      yield* Latch.open(goOn)
      yield* Fiber.join(writing)
      assert.strictEqual(yield* others.get("key"), "the new one")
    }),
  )

  it.live("removes what writers that were killed left behind, and nothing of others", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      fs.mkdirSync(directory, { recursive: true })
      const place = (name: string, minutesAgo: number) => {
        const when = Date.now() / 1_000 - 60 * minutesAgo
        fs.writeFileSync(path.join(directory, name), "half of a snapsh")
        fs.utimesSync(path.join(directory, name), when, when)
      }
      const [left, young] = [`.${crypto.randomUUID()}.tmp`, `.${crypto.randomUUID()}.tmp`]
      place(left, 11)
      place(young, 9)
      place("notes.tmp", 600)
      place("README", 600)
      yield* wholeRun(FilePersistence.layer({ directory }), [yield* makeIdp()])
      const names = fs.readdirSync(directory)
      assert.sameMembers(
        names.filter((name) => !name.endsWith(".json")),
        [young, "notes.tmp", "README"],
      )
      assert.lengthOf(names, 4)
    }),
  )

  it.live("keeps each store in its own directory, also where one program has two", () =>
    Effect.gen(function* () {
      const directories = [yield* freshPath, yield* freshPath]
      const memoMap = yield* Layer.makeMemoMap
      const scope = yield* Effect.scope
      for (const directory of directories) {
        const context = yield* Layer.buildWithMemoMap(FilePersistence.layer({ directory }), memoMap, scope)
        const registry = yield* Layer.build(
          JwksRegistry.layer({ ...options, requireHttps: true }).pipe(
            Layer.provide([
              Layer.succeedContext(context),
              ScriptedProvider.layerClient(yield* makeIdp()),
              JwksMetrics.layerNoop,
            ]),
          ),
        ).pipe(Effect.map((built) => Context.get(built, JwksRegistry)))
        yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: "https://idp.test/jwks" })
        yield* registry.warmUp({ timeout: "1 second" })
        yield* registry.persistAll
        onlyFile(directory)
      }
    }),
  )

  it.live("clears one store of a directory, and lists what is there", () =>
    Effect.gen(function* () {
      const directory = yield* freshPath
      const keyValueStore = yield* Effect.provide(makeEntryFiles(directory), NodeFileSystem.layer)
      assert.strictEqual(yield* keyValueStore.size, 0)
      yield* keyValueStore.clear
      for (const key of ["a:1", "a:2", "A:1", "ab:1"]) yield* keyValueStore.set(key, Buffer.from(key))
      fs.writeFileSync(path.join(directory, "README"), "")
      assert.sameMembers([...(yield* keyValueStore.keys)], ["a:1", "a:2", "A:1", "ab:1"])
      yield* keyValueStore.clearPrefix("a:")
      assert.sameMembers([...(yield* keyValueStore.keys)], ["A:1", "ab:1"])
      yield* keyValueStore.clear
      assert.strictEqual(yield* keyValueStore.size, 0)
      assert.isTrue(fs.existsSync(path.join(directory, "README")))
    }),
  )

  for (const [given, field, rule] of [
    [{}, "directory", 'is required: must be the path of a directory, such as "/var/lib/shop/jwks"'],
    [{ directory: " " }, "directory", 'must be the path of a directory, such as "/var/lib/shop/jwks"'],
    [{ directory: "a\0b" }, "directory", 'must be the path of a directory, such as "/var/lib/shop/jwks"'],
    [{ directory: "a", mode: 0o777 }, "mode", "is no option of FilePersistence; the option is directory"],
    [undefined, "", "must be an object with directory"],
  ] as const) {
    it.live(`refuses ${JSON.stringify(given)}`, () =>
      Effect.gen(function* () {
        const error = yield* Layer.build(FilePersistence.layer(given as FilePersistenceOptions)).pipe(
          Effect.scoped,
          Effect.flip,
        )
        assert.deepStrictEqual(error.issues, [{ field, rule }])
      }),
    )
  }
})

/** As the kernel says it. */
const noSpace = (file: string): PlatformError =>
  systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method: "writeFile",
    pathOrDescriptor: file,
    cause: Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }),
  })
