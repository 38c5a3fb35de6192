/**
 * Snapshots in a directory of this machine.
 */
import { InvalidRegistration } from "@effect-jwks/core"
import { checker, text } from "@effect-jwks/core/OptionSchema"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Persistence from "effect/persistence/Persistence"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import { makeEntryFiles } from "./internal/EntryFiles.ts"

/** Where entries are. */
export interface FilePersistenceOptions {
  /**
   * The directory, for this store alone: absolute, or from the working directory when the layer is built.
   * It is made, with mode 0700, when something is written and it is not there.
   */
  readonly directory: string
}

const directoryRule = 'must be the path of a directory, such as "/var/lib/shop/jwks"'

const checkOptions = checker(
  Schema.Struct({
    directory: text(directoryRule, (value) => value.trim() !== "" && !value.includes("\0")).pipe(
      Schema.annotateKey({ messageMissingKey: `is required: ${directoryRule}` }),
    ),
  }).annotate({
    message: "must be an object with directory",
    messageUnexpectedKey: "is no option of FilePersistence; the option is directory",
  }),
)

/**
 * A `Persistence` in a directory, over the `FileSystem` that it is given.
 *
 * **Details**
 *
 * For file systems that are not Node's, and for tests that make one fail. See {@link layer}.
 */
export const layerNoFileSystem = (
  options: FilePersistenceOptions,
): Layer.Layer<Persistence.Persistence, InvalidRegistration, FileSystem.FileSystem> =>
  // Fresh: Effect would build its own layer once, for the first of several directories.
  Layer.fresh(Persistence.layerKvs).pipe(
    Layer.provide(
      Layer.effect(
        KeyValueStore.KeyValueStore,
        Effect.suspend(() => {
          const checked = checkOptions(options)
          return Result.isFailure(checked)
            ? Effect.fail(new InvalidRegistration({ issues: checked.failure }))
            : makeEntryFiles(path.resolve(checked.success.directory))
        }),
      ),
    ),
  )

/**
 * A `Persistence` in a directory of this machine: one file for each entry, mode 0600.
 *
 * **Details**
 *
 * Files are replaced as a whole, so whoever is killed in the middle of a write leaves the former one. A
 * directory that can not be made, read or written fails each operation with `PersistenceError`, and the
 * layer never; wrong options fail the layer with `InvalidRegistration`.
 *
 * Several processes may share a directory.
 *
 * **Gotchas**
 *
 * Removes nothing that nobody asks for: entries past their time to live stay until they are read.
 *
 * **Example** (Keys without a request after a restart)
 *
 * ```ts
 * import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
 * import { FilePersistence } from "@effect-jwks/node"
 * import { ScriptedProvider } from "@effect-jwks/testing"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { mkdtemp, rm } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const directory = await mkdtemp(join(tmpdir(), "jwks-"))
 *
 * const oneRun = Effect.fnUntraced(function* () {
 *   const idp = yield* ScriptedProvider
 *   const program = Effect.gen(function* () {
 *     yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
 *     return yield* JwksRegistry.resolveKey("acme", idp.keys.current.kid)
 *   })
 *   return yield* Effect.provide(
 *     program,
 *     JwksRegistry.layer({ snapshotKey: "32 random bytes, from the environment" }).pipe(
 *       Layer.provide([FilePersistence.layer({ directory }), JwksMetrics.layer]),
 *     ),
 *   )
 * })
 *
 * const program = Effect.gen(function* () {
 *   const idp = yield* ScriptedProvider
 *   yield* oneRun()
 *   yield* idp.faults.refuse()
 *   const { freshness } = yield* oneRun()
 *   return freshness // => "fresh"
 * })
 *
 * await Effect.runPromise(Effect.provide(program, ScriptedProvider.layer()))
 * await rm(directory, { recursive: true })
 * ```
 */
export const layer = (options: FilePersistenceOptions): Layer.Layer<Persistence.Persistence, InvalidRegistration> =>
  Layer.provide(layerNoFileSystem(options), NodeFileSystem.layer)
