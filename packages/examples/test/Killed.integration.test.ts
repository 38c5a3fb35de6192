/**
 * A process is killed while it writes snapshots, again and again, and another one starts from what is there.
 */
import { JwksMetrics, JwksRegistry, type JwksEvent } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Backend, persistenceOn } from "./killed/Backend.ts"
import { optionsOf, providers, registrationOf } from "./killed/Fleet.ts"
import { Rotations, rotationOf } from "./killed/Rotations.ts"
import { startRedis, temporaryDirectory } from "./killed/Servers.ts"
import { makePostgres, postgresBinaries } from "./support/PostgresServer.ts"

/** Kills over each backend; 50 and more in all. */
const killsPerBackend = 13

/** How many marks of a thousand rotations are made for certain: the slower the writes, the more rotations each holds. */
const reach = { Files: 40, PlainFiles: 150, Redis: 150, Postgres: 150 }

/** What a process had written when it was killed. */
interface Killed {
  /** By provider, the latest rotation whose write had ended, and the latest whose write had begun. */
  readonly written: ReadonlyMap<string, number>
  readonly begun: ReadonlyMap<string, number>
  readonly isInsideWrite: boolean
}

const program = fileURLToPath(new URL("killed/rotate.program.ts", import.meta.url))

const note = (rotations: Map<string, number>, kid: string): void => {
  rotations.set(kid.slice(0, kid.lastIndexOf("-")), rotationOf(kid))
}

/** Starts a process, and kills it at the nth mark that it makes: at odd ones a write has begun, at even ones it has ended. */
const killAtMark = async (backend: Backend, namespace: string, origin: string, nth: number): Promise<Killed> => {
  const written = new Map<string, number>()
  const begun = new Map<string, number>()
  const child: ChildProcess = spawn(process.execPath, [program, JSON.stringify(backend), namespace, origin], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const { stdout } = child
  assert.isNotNull(stdout)
  let marks = 0
  let last = ""
  for await (const line of createInterface({ input: stdout })) {
    const [mark = "", ...kids] = line.split(" ")
    assert.notStrictEqual(mark, "done", "the process was done before it was killed")
    for (const kid of kids) note(mark === "begin" ? begun : written, kid)
    last = mark
    marks += 1
    // What it still wrote to the pipe is read to its end.
    if (marks === nth) child.kill("SIGKILL")
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
  assert.strictEqual(child.signalCode, "SIGKILL")
  return { written, begun, isInsideWrite: last === "begin" }
}

/** Opens a registry over what the killed process left; which rotation each provider answers with, and what was ignored. */
const restart = (backend: Backend, namespace: string, origin: string) =>
  Effect.gen(function* () {
    const ignored: Array<JwksEvent> = []
    const events = yield* Effect.forkScoped(
      Stream.runForEach(yield* Effect.map(JwksRegistry, (registry) => registry.events), (event) =>
        Effect.sync(() => {
          if (event._tag === "SnapshotIgnored" || event._tag === "SnapshotFailed") ignored.push(event)
        }),
      ),
      { startImmediately: true },
    )
    for (const provider of providers) yield* JwksRegistry.register(registrationOf(provider, origin))
    yield* JwksRegistry.warmUp({ timeout: "10 seconds" })
    const answers = new Map<string, number>()
    for (const provider of providers) {
      const { jwks } = yield* JwksRegistry.resolve("acme", provider)
      answers.set(provider, rotationOf(jwks.keys[0]?.kid ?? ""))
    }
    yield* Fiber.interrupt(events)
    return { answers, ignored }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      JwksRegistry.layer(optionsOf(namespace)).pipe(
        Layer.provide([FetchHttpClient.layer, persistenceOn(backend), JwksMetrics.layerNoop]),
      ),
    ),
    Effect.runPromise,
  )

const tally = { kills: 0, insideWrites: 0, torn: 0 }
const releases: Array<() => Promise<void>> = []

beforeAll(async () => {
  const redis = await startRedis()
  releases.push(redis.stop)
  servers.set("Redis", { _tag: "Redis", port: redis.port })
  const postgres = await makePostgres(postgresBinaries ?? assert.fail("no PostgreSQL"))
  releases.push(postgres.discard)
  await postgres.start()
  servers.set("Postgres", { _tag: "Postgres", url: `postgres://postgres@127.0.0.1:${postgres.port}/postgres` })
}, 60_000)

const servers = new Map<string, Backend>()

afterAll(async () => {
  for (const release of releases) await release()
  console.log(
    `killed ${tally.kills} times, ${tally.insideWrites} of them inside a write; ${tally.torn} torn snapshots, none used`,
  )
})

describe("A process that is killed while it writes snapshots", () => {
  it.each(["Files", "PlainFiles", "Redis", "Postgres"] as const)(
    "leaves what the next one starts from: %s",
    async (name) => {
      const directory = temporaryDirectory(releases)
      const backend: Backend =
        name === "Files" || name === "PlainFiles" ? { _tag: name, directory } : (servers.get(name) ?? assert.fail())
      let insideWrites = 0
      for (let kill = 0; kill < killsPerBackend; kill++) {
        const provider = new Rotations()
        const origin = await provider.listen()
        // Each time further on, and more often at the beginning of a write than at its end.
        const mark = 1 + 2 * Math.floor((kill * reach[name]) / (2 * killsPerBackend)) + (kill % 4 === 3 ? 1 : 0)
        const killed = await killAtMark(backend, `kill${kill}`, origin, mark)
        tally.kills += 1
        if (killed.isInsideWrite) insideWrites += 1

        provider.isRotating = false
        provider.bodies.clear()
        const { answers, ignored } = await restart(backend, `kill${kill}`, origin)
        for (const idp of providers) {
          const about = `${name}, kill ${kill}, ${idp}`
          const answer = answers.get(idp) ?? assert.fail(about)
          const isTorn = ignored.some((event) => event.provider === idp)
          if (provider.bodies.has(idp)) {
            // Nothing to start from: never written, or torn in the middle of this write.
            assert.isTrue(!killed.written.has(idp) || (name === "PlainFiles" && isTorn), `${about}: downloaded again`)
            assert.strictEqual(answer, provider.latest(idp), about)
          } else {
            assert.isAtLeast(answer, killed.written.get(idp) ?? 0, `${about}: an older key came back`)
            assert.isAtMost(answer, provider.latest(idp), about)
          }
          if (isTorn) tally.torn += 1
        }
        if (name !== "PlainFiles") assert.deepStrictEqual(ignored, [], `${name}, kill ${kill}`)
        await provider.close()
      }
      tally.insideWrites += insideWrites
      assert.isAtLeast(insideWrites, 3)
    },
    180_000,
  )

  it("was killed 50 times, at least 10 of them inside a write", () => {
    assert.isAtLeast(tally.kills, 50)
    assert.isAtLeast(tally.insideWrites, 10)
  })
})
