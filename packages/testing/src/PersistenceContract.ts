/**
 * What a `Persistence` has to do so that it can carry snapshots, as rules that run under any test runner.
 */
import { JwksMetrics, JwksRegistry, type JwksRegistryService } from "@effect-jwks/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Random from "effect/Random"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { ContractBreach } from "./ContractBreach.ts"
import type { IdentityProvider } from "./IdentityProvider.ts"
import { type ContractStore, type Entry, openContractStore, type StoreError } from "./internal/ContractStore.ts"
import { ScriptedProvider } from "./ScriptedProvider.ts"

/** One rule of the contract. */
export interface ContractRule {
  /** What a backend does that keeps to the rule: the rest of a sentence that begins with its name. */
  readonly name: string
  /** Tries it on the real clock, in stores of its own that it empties again. */
  readonly run: Effect.Effect<void, ContractBreach, Persistence.Persistence>
}

/** How one rule is tried. */
interface Trial {
  /** Names that no other trial has. */
  readonly nonce: string
  /** An empty store of this trial; another one for another suffix. */
  readonly open: (suffix?: string) => Effect.Effect<ContractStore, never, Persistence.Persistence | Scope.Scope>
  /** Fails the trial unless both are the same. */
  readonly same: <A>(found: A, expected: A, what: string) => Effect.Effect<void, ContractBreach>
}

type Try = (trial: Trial) => Effect.Effect<void, ContractBreach | StoreError, Persistence.Persistence | Scope.Scope>

/** What takes longer is of no use to anybody. */
const longestTrial = "30 seconds"

const rule = (name: string, attempt: Try): ContractRule => {
  const breach = (found: string, cause?: unknown) =>
    new ContractBreach({ rule: name, found, ...(cause !== undefined && { cause }) })
  const trial: Effect.Effect<Trial> = Effect.map(
    Effect.all([Random.nextIntBetween(0, 2 ** 31), Random.nextIntBetween(0, 2 ** 31)]),
    (numbers) => {
      const nonce = numbers.map((number) => number.toString(36)).join("")
      return {
        nonce,
        // Braces, as the registry's stores have them.
        open: (suffix = "") => openContractStore(`{contract-${nonce}${suffix}}`),
        same: (found, expected, what) =>
          Object.is(found, expected) || JSON.stringify(found) === JSON.stringify(expected)
            ? Effect.void
            : Effect.fail(breach(`${what} is ${shown(found)}, expected was ${shown(expected)}`)),
      }
    },
  )
  return {
    name,
    run: Effect.flatMap(trial, attempt).pipe(
      Effect.scoped,
      // What registries log of a backend at fault is said by the breach.
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.catchDefect((cause) => Effect.fail(breach("it died", cause))),
      Effect.catchTags({
        PersistenceError: (cause) => Effect.fail(breach(`an operation failed: ${cause.message}`, cause)),
        SchemaError: (cause) => Effect.fail(breach("a text came back as something else", cause)),
      }),
      Effect.timeoutOrElse({
        duration: longestTrial,
        orElse: () => Effect.fail(breach(`it took longer than ${longestTrial}`)),
      }),
    ),
  }
}

/** Enough of a value to tell it from others. */
const shown = (value: unknown): string => {
  const json = JSON.stringify(value) ?? "undefined"
  return json.length <= 200 ? json : `${json.slice(0, 100)}... (${json.length} characters)`
}

const entriesOf = (count: number, textOf: (index: number) => string = (index) => `text ${index}`): Array<Entry> =>
  Array.from({ length: count }, (_, index) => ({ id: `entry-${index}`, text: textOf(index) }))

const idsOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<string> => entries.map(({ id }) => id)
const textsOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<string> => entries.map(({ text }) => text)

const unusualTexts: ReadonlyArray<string> = [
  "",
  " ",
  "null",
  '"quoted" \\ back\\slashed \\u0000',
  "line\r\nbreaks\n\tand tabs\u2028\u2029",
  "zero \u0000 and other controls \u0001\u001f\u007f",
  "\ufeffa mark at the beginning",
  "déjà vu, Ελληνικά, עברית, 日本語, 🔑👩‍👩‍👧",
  "half a pair \ud83d",
  "$1 %s %00 ' -- ; DROP TABLE",
]

/** Ids as the registry makes them: `[a-z0-9._-]`, at most 130 characters. */
const unusualIds: ReadonlyArray<string> = [
  "a",
  "0",
  "-",
  "_",
  "-rf",
  "__proto__",
  "constructor",
  "a.b",
  "a.b.",
  "a..b",
  ".a",
  "con.nul.0",
  "acme.idp.0a",
  "acme.idp.0b",
  "acme.idp_0a",
  "acme-idp.0a",
  `${"a".repeat(129)}b`,
  `${"a".repeat(129)}c`,
  `${"_".repeat(32)}.${"-".repeat(32)}.${"0123456789abcdef".repeat(4)}`,
]

const fullSize = (index: number): string => `${index} é€🔑`.repeat(65_536)

/** A registry over the backend under test, for as long as the scope lives. */
const openRegistry = (
  { nonce }: Trial,
  idp: IdentityProvider,
): Effect.Effect<JwksRegistryService, never, Persistence.Persistence | Scope.Scope> =>
  Effect.flatMap(Persistence.Persistence, (persistence) =>
    JwksRegistry.layer({
      snapshotKey: "the key of the contract, 32 bytes",
      snapshotNamespace: `contract-${nonce}`,
      defaults: { retryPolicy: { maxRetries: 0 } },
    }).pipe(
      Layer.provide([
        Layer.succeed(Persistence.Persistence, persistence),
        ScriptedProvider.layerClient(idp),
        JwksMetrics.layerNoop,
      ]),
      Layer.build,
      Effect.orDie,
      Effect.map((context) => Context.get(context, JwksRegistry)),
    ),
  )

/** What one run of an application does with its registry, which is closed at the end. */
const inOneRun = <A>(
  trial: Trial,
  idp: IdentityProvider,
  use: (registry: JwksRegistryService) => Effect.Effect<A>,
): Effect.Effect<A, never, Persistence.Persistence> =>
  Effect.scoped(
    Effect.gen(function* () {
      const registry = yield* openRegistry(trial, idp)
      yield* Effect.orDie(registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl }))
      return yield* use(registry)
    }),
  )

const keyOf = (registry: JwksRegistryService, kid: string) =>
  registry.resolveKey("acme", kid).pipe(
    Effect.map(({ freshness, thumbprint }) => `${freshness} ${thumbprint}`),
    Effect.catch(({ _tag }) => Effect.succeed(_tag)),
  )

/**
 * What a `Persistence` has to do so that it can carry snapshots.
 *
 * **Details**
 *
 * Each rule needs the `Persistence` under test and nothing else, on the real clock. It fails with
 * {@link ContractBreach}. Rules do not meet: they may run in any order, side by side, and more than once
 * over one backend.
 *
 * **Example** (A backend of your own)
 *
 * ```ts
 * import { persistenceContract } from "@effect-jwks/testing"
 * import * as Effect from "effect/Effect"
 * import * as Persistence from "effect/persistence/Persistence"
 *
 * const backend = Persistence.layerMemory
 * for (const { name, run } of persistenceContract) {
 *   await Effect.runPromise(Effect.provide(run, backend))
 *   console.log(`ok: ${name}`)
 * }
 * ```
 */
export const persistenceContract: ReadonlyArray<ContractRule> = [
  rule("reads back what was written, whatever is in it", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      for (const [index, text] of unusualTexts.entries()) {
        yield* store.write({ id: `text-${index}`, text })
        yield* same(yield* store.read(`text-${index}`), text, `text ${index}`)
      }
    }),
  ),

  rule("reads back a text of 1 MiB", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      const text = "0123456789abcdef".repeat(65_536)
      yield* store.write({ id: "large", text })
      yield* same(yield* store.read("large"), text, "the text")
    }),
  ),

  rule("writes and reads batches of 4 MiB", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      const entries = entriesOf(8, fullSize)
      yield* store.writeMany(entries)
      yield* same(yield* store.readMany(idsOf(entries)), textsOf(entries), "the batch")
    }),
  ),

  rule("answers undefined where nothing is", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      yield* same(yield* store.read("absent"), undefined, "one text")
      yield* same(yield* store.readMany(["absent", "absent too"]), [undefined, undefined], "a batch")
    }),
  ),

  rule("keeps what was written last", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      for (const text of ["first", "a second one that is longer", "3"]) {
        yield* store.write({ id: "entry", text })
        yield* same(yield* store.read("entry"), text, "the text")
      }
      yield* store.writeMany([{ id: "entry", text: "in a batch" }])
      yield* same(yield* store.read("entry"), "in a batch", "the text")
    }),
  ),

  rule("reads batches in their order, with undefined for what is absent", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      const entries = entriesOf(256)
      const even = entries.filter((_, index) => index % 2 === 0)
      yield* store.writeMany(even.slice(0, 64))
      yield* store.writeMany(even.slice(64))
      const asked = entries.toReversed()
      yield* same(
        yield* store.readMany(idsOf(asked)),
        asked.map((entry) => (even.includes(entry) ? entry.text : undefined)),
        "the batch",
      )
    }),
  ),

  rule("writes batches of 128, new ones and ones that are there", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      const entries = entriesOf(128)
      yield* store.writeMany(entries.slice(0, 64))
      yield* store.writeMany(entriesOf(128, (index) => `again ${index}`))
      yield* same(
        yield* store.readMany(idsOf(entries)),
        entries.map((_, index) => `again ${index}`),
        "the batch",
      )
    }),
  ),

  rule("removes what is there, and does not mind what is not", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      yield* store.writeMany(entriesOf(2))
      yield* store.remove("entry-0")
      yield* store.remove("entry-0")
      yield* store.remove("never there")
      yield* same(yield* store.readMany(["entry-0", "entry-1"]), [undefined, "text 1"], "what is left")
      yield* store.write({ id: "entry-0", text: "back" })
      yield* same(yield* store.read("entry-0"), "back", "the text")
    }),
  ),

  rule("ends what is past its time to live, by the last write", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      yield* store.writeMany([
        { id: "short", text: "short", timeToLive: "300 millis" },
        { id: "long", text: "long" },
        { id: "prolonged", text: "short", timeToLive: "300 millis" },
        { id: "shortened", text: "long" },
      ])
      yield* store.write({ id: "prolonged", text: "long" })
      yield* store.write({ id: "shortened", text: "short", timeToLive: "300 millis" })
      const ids = ["short", "long", "prolonged", "shortened"]
      // There is no event to meet on: backends end entries by their own clock.
      for (let tries = 0; tries < 20; tries++) {
        yield* Effect.sleep("100 millis")
        const found = yield* store.readMany(ids)
        if (found[0] === undefined && found[3] === undefined) break
      }
      yield* same(yield* store.readMany(ids), [undefined, "long", "long", undefined], "what is left after 300 ms")
      yield* same(yield* store.read("short"), undefined, "what is past its time")
    }),
  ),

  rule("keeps stores apart", ({ open, same }) =>
    Effect.gen(function* () {
      const one = yield* open()
      const other = yield* open("-other")
      yield* one.write({ id: "entry", text: "of the one" })
      yield* same(yield* other.read("entry"), undefined, "what the other store has")
      yield* other.write({ id: "entry", text: "of the other" })
      yield* same(yield* one.read("entry"), "of the one", "what the one store has")
      yield* other.remove("entry")
      yield* same(yield* one.readMany(["entry"]), ["of the one"], "what the one store has")
    }),
  ),

  rule("keeps ids apart, in the whole alphabet and up to 130 characters", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      yield* store.writeMany(unusualIds.map((id) => ({ id, text: `of ${id}` })))
      for (const id of unusualIds) yield* same(yield* store.read(id), `of ${id}`, `what is under ${id}`)
      yield* same(
        yield* store.readMany(unusualIds),
        unusualIds.map((id) => `of ${id}`),
        "the batch",
      )
    }),
  ),

  rule("leaves one of several concurrent writes whole, and shows no other", ({ open, same }) =>
    Effect.gen(function* () {
      const store = yield* open()
      const texts = Array.from({ length: 16 }, (_, index) => `${index} `.repeat(16_384))
      const isWhole = (text: string | undefined) => text === undefined || texts.includes(text)
      const [found] = yield* Effect.all(
        [
          Effect.forEach(texts, () => store.read("entry")),
          Effect.forEach(texts, (text) => store.write({ id: "entry", text }), { concurrency: "unbounded" }),
        ],
        { concurrency: "unbounded" },
      )
      yield* same(found.filter((text) => !isWhole(text)).length, 0, "the number of torn texts meanwhile")
      const last = yield* store.read("entry")
      yield* same(last !== undefined && isWhole(last), true, "whether the text is whole at the end")
    }),
  ),

  rule("brings a registry's keys back without a request", (trial) =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make({ response: { cacheControl: "max-age=3600" } })
      const { kid, thumbprint } = idp.keys.current
      const { same } = trial
      const written = yield* inOneRun(trial, idp, (registry) =>
        keyOf(registry, kid).pipe(Effect.andThen(Effect.orDie(registry.persistAll))),
      )
      yield* same(written.done, 1, "the number of snapshots that were written")
      // A set that came back is revalidated at some moment: that must not be where the answer comes from.
      yield* idp.faults.refuse()
      const found = yield* inOneRun(trial, idp, (registry) => keyOf(registry, kid))
      yield* same(found, `fresh ${thumbprint}`, "the key after a restart")
      yield* same(idp.ok, 1, "the number of documents that were downloaded")

      yield* inOneRun(trial, idp, (registry) => registry.unregister("acme", "idp"))
      const after = yield* inOneRun(trial, idp, (registry) => keyOf(registry, kid))
      yield* same(after, "JwksUnavailable", "the answer after the provider was unregistered")
    }),
  ),
]
