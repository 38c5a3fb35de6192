/**
 * Plays one HTTP cache test: the registry is the cache, `resolve` is the client's request, a scripted
 * provider is the origin.
 *
 * **Details**
 *
 * The body of each answer is a JWK Set with a key of its own, so an answer of the registry says which answer
 * of the origin it comes from.
 *
 * Between two requests the machine is suspended: time passes, and no timer runs. So the registry asks the
 * origin on account of a request only, as the tests expect of a cache, and never ahead of need. Everything
 * else is as the registration says: with `strictHttp`, or with nothing but the defaults.
 *
 * While a request waits (a slow origin, a back-off), time passes for everything, and every attempt of the
 * registry gets the answer that the test has for this request.
 *
 * A JWKS client sends no header fields of its caller's: a request that has some is played without them.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import type { Freshness, JwksRegistryService, ResolvedJwks, ResolveError } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { generateKeyPairSync } from "node:crypto"
import { withSteppedClock } from "../SteppedClock.ts"
import type { CacheTest, Field, Origin } from "./CacheTest.ts"

/** How the provider is registered: with `strictHttp`, or with nothing but the defaults. */
export const modes = ["strictHttp", "defaults"] as const
export type Mode = (typeof modes)[number]

/** Header fields by lower-case name. */
export type HeaderFields = Readonly<Record<string, string>>

/** What a request of the client was answered with. */
export type Answer =
  /** The set that the origin sent in answer to the client's request of this number, from 1. */
  | { readonly _tag: "Set"; readonly of: number; readonly freshness: Freshness }
  /** No set, because of the status that the origin answered with. */
  | { readonly _tag: "Status"; readonly of: number }
  /** No set, for another reason. */
  | { readonly _tag: "Failure"; readonly of: string }

/** What became of one request of the client. */
export interface Observation {
  /** Of the requests that it made the registry send. */
  readonly sent: ReadonlyArray<HeaderFields>
  /** Of what the origin answered them with. */
  readonly received: ReadonlyArray<HeaderFields>
  readonly answer: Answer
}

/** Whole seconds, as the dates of HTTP have. */
const start = Date.UTC(2026, 10, 20)

/** How long a request may take: any longer than the registry's longest flight. */
const patienceMillis = 30_000
const stepMillis = 10

// -----------------------------------------------------------------------------
// The origin
// -----------------------------------------------------------------------------

const keys: Array<JsonWebKey> = []

/** The JWK Set of the answer to the client's request `number`. */
const setOf = (number: number): string => {
  while (keys.length < number) {
    keys.push(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }))
  }
  return JSON.stringify({ keys: [{ ...keys[number - 1], kid: String(number) }] })
}

/** Fields of one name are one list, as fetch hands them over (RFC 9110 section 5.3). */
const headersAt = (now: number, fields: ReadonlyArray<Field>): HeaderFields => {
  const headers = new Map<string, string>()
  for (const [name, value] of fields) {
    const text = typeof value === "string" ? value : new Date(now + value * 1_000).toUTCString()
    const before = headers.get(name.toLowerCase())
    headers.set(name.toLowerCase(), before === undefined ? text : `${before}, ${text}`)
  }
  return Object.fromEntries(headers)
}

/** Sees to it that the origin answers its next request so. */
const prepare = (
  { faults }: ScriptedProvider["Service"],
  { disconnect, pause_seconds = 0, status = 200 }: Origin,
  headers: HeaderFields,
  body: string,
) =>
  disconnect === true
    ? faults.refuse({ next: 1 })
    : faults.status(status, { next: 1, headers, body, after: `${pause_seconds} seconds` })

// -----------------------------------------------------------------------------
// The client
// -----------------------------------------------------------------------------

const answerOf = (result: Result.Result<ResolvedJwks, ResolveError>): Answer => {
  if (Result.isSuccess(result)) {
    const { freshness, jwks } = result.success
    return { _tag: "Set", of: Number(jwks.keys[0]?.["kid"]), freshness }
  }
  const error = result.failure
  if (error._tag !== "JwksUnavailable") return { _tag: "Failure", of: error._tag }
  return error.reason._tag === "HttpStatus"
    ? { _tag: "Status", of: error.reason.status }
    : { _tag: "Failure", of: error.reason._tag }
}

/** Asks, and lets time pass until there is an answer. */
const ask = Effect.fnUntraced(function* (registry: JwksRegistryService) {
  const fiber = yield* Effect.forkChild(Effect.result(registry.resolve("tenant", "provider")))
  for (let passed = 0; passed < patienceMillis; passed += stepMillis) {
    yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.yieldNow, { discard: true })
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return answerOf(yield* exit)
    yield* TestClock.adjust(stepMillis)
  }
  return yield* Effect.die(new Error("a request was never answered"))
})

/** The same back-offs each time. */
const halfway = { nextDoubleUnsafe: () => 0.5, nextIntUnsafe: () => 0 }

/** Plays a test: what became of each of its requests. */
export const play = (test: CacheTest, mode: Mode): Effect.Effect<ReadonlyArray<Observation>> =>
  withSteppedClock(
    Effect.fnUntraced(function* ({ stepWall }) {
      yield* TestClock.setTime(start)
      // What the provider would add to the answers of a test.
      const response = { cacheControl: undefined, date: undefined }
      const provider = yield* ScriptedProvider.make({ response, keptRequests: 1_000 })
      let script: Origin = {}
      let number = 0
      let received: Array<HeaderFields> = []
      const client = ScriptedProvider.client(provider).pipe(
        HttpClient.tapRequest(() =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const headers = headersAt(now, script.headers ?? [])
            received.push(headers)
            return prepare(provider, script, headers, setOf(number))
          }),
        ),
      )
      const services = yield* JwksRegistry.layer({
        providers: [
          {
            tenant: "tenant",
            provider: "provider",
            jwksUrl: provider.jwksUrl,
            warm: false,
            ...(mode === "strictHttp" && { strictHttp: true }),
          },
        ],
      }).pipe(
        Layer.provide([Layer.succeed(HttpClient.HttpClient, client), Persistence.layerMemory, JwksMetrics.layerNoop]),
        Layer.build,
        Effect.orDie,
      )
      const registry = Context.get(services, JwksRegistry)

      const observations: Array<Observation> = []
      for (const { delay_after_seconds = 0, origin } of test.requests) {
        script = origin
        number += 1
        received = []
        const before = provider.log.length
        const answer = yield* ask(registry)
        observations.push({ sent: provider.log.slice(before).map(({ headers }) => headers), received, answer })
        stepWall(delay_after_seconds * 1_000)
      }
      return observations
    }),
  ).pipe(
    Effect.provideService(Random.Random, halfway),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.scoped,
    Effect.provide(TestClock.layer()),
  )
