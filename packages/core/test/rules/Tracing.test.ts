/**
 * What a tracer sees: one root span a refresh, one span an attempt, misses, and hits only where they are asked for.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksRegistry, TraceHits } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { answerAtOnce, begin, openRegistry, seconds, settle } from "./support.ts"

/** A tracer that keeps what it is told. */
const makeTracer = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    },
  })
  return { spans, tracer, named: (name: string) => spans.filter((span) => span.name === name) }
}

const attributesOf = (span: Tracer.Span | undefined): Record<string, unknown> =>
  Object.fromEntries(span?.attributes ?? [])

const endOf = ({ status }: Tracer.Span): Exit.Exit<unknown, unknown> =>
  status._tag === "Ended" ? status.exit : assert.fail("the span has not ended")

const failureOf = (span: Tracer.Span): string => {
  const exit = endOf(span)
  return Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : assert.fail("the span has not failed")
}

const world = Effect.fnUntraced(function* () {
  const { named, spans, tracer } = makeTracer()
  const idp = yield* ScriptedProvider.make({ keptRequests: 100 })
  const traced = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, Tracer.Tracer, tracer)
  const registry = yield* traced(openRegistry([idp]))
  const registered = { tenant: "acme", provider: "idp", jwksUrl: `${idp.jwksUrl}?secret=1`, prefetchJitter: 0 }
  return { idp, kid: idp.keys.current.kid, named, registered, registry, spans, traced }
})

describe("a refresh", () => {
  it.effect("is one root span, linked to the spans of all who wait, with one span for its attempt", () =>
    Effect.gen(function* () {
      const { idp, kid, named, registered, registry, traced } = yield* world()
      yield* registry.register({ ...registered, warm: false })
      yield* idp.faults.delay("1 second", { next: 1 })
      const caller = (name: string) => Effect.withSpan(registry.resolveKey("acme", kid), name)
      const callers = yield* begin(traced(Effect.all([caller("one"), caller("two")], { concurrency: 2 })))
      yield* TestClock.adjust("1 second")
      yield* answerAtOnce(Fiber.join(callers))

      const [refresh, ...more] = named("jwks.refresh")
      assert.isEmpty(more)
      if (refresh === undefined) assert.fail("no span")
      assert.isTrue(Option.isNone(refresh.parent))
      const misses = named("jwks.resolveKey")
      assert.deepStrictEqual(
        misses.map(({ parent }) => Option.map(parent, (span) => (span._tag === "Span" ? span.name : ""))),
        [Option.some("one"), Option.some("two")],
      )
      assert.deepStrictEqual(
        refresh.links.map(({ span }) => span.spanId),
        misses.map(({ spanId }) => spanId),
      )
      assert.deepStrictEqual(attributesOf(refresh), {
        "jwks.tenant": "acme",
        "jwks.provider": "idp",
        "jwks.refresh.trigger": "resolve",
        "jwks.refresh.outcome": "updated",
        "jwks.waiters": 2,
        "jwks.keys": 1,
        "jwks.keys.added": 1,
        "jwks.keys.removed": 0,
        "jwks.keys.changed": 0,
      })
      assert.isTrue(Exit.isSuccess(endOf(refresh)))

      const [fetched, ...others] = named("jwks.fetch")
      assert.isEmpty(others)
      if (fetched === undefined) assert.fail("no span")
      assert.strictEqual(Option.getOrUndefined(fetched.parent)?.spanId, refresh.spanId)
      assert.strictEqual(fetched.kind, "client")
      assert.deepStrictEqual(attributesOf(fetched), {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.response.body.size": idp.keys.document.bytes.length,
        "url.full": idp.jwksUrl,
        "server.address": new URL(idp.jwksUrl).hostname,
        "server.port": 443,
      })
      const sent = Object.keys(idp.log[0]?.headers ?? {})
      for (const header of ["traceparent", "tracestate", "b3"]) assert.notInclude(sent, header)
    }),
  )

  it.effect("shows each attempt with its status and delay, and the rotation that it brought", () =>
    Effect.gen(function* () {
      const { idp, named, registered, registry, traced } = yield* world()
      yield* registry.register(registered)
      yield* settle
      yield* idp.keys.rotate({ keepOld: false })
      yield* idp.faults.status(503, { next: 1, retryAfter: "2 seconds" })
      const refreshing = yield* begin(traced(registry.refresh("acme", "idp")))
      yield* TestClock.adjust("2 seconds")
      yield* answerAtOnce(Fiber.join(refreshing))
      const [first, second] = named("jwks.fetch").slice(1)
      if (first === undefined || second === undefined) assert.fail("no spans")
      assert.deepInclude(attributesOf(first), { "http.response.status_code": 503, "error.type": "503" })
      assert.strictEqual(failureOf(first), `HttpStatus: ${idp.jwksUrl} answered with status 503`)
      assert.deepInclude(attributesOf(second), {
        "http.request.resend_count": 1,
        "jwks.retry_delay_ms": seconds(2),
        "http.response.status_code": 200,
      })
      assert.deepInclude(attributesOf(named("jwks.refresh")[1]), {
        "jwks.refresh.trigger": "refresh",
        "jwks.refresh.outcome": "updated",
        "jwks.keys.added": 1,
        "jwks.keys.removed": 1,
      })
    }),
  )

  it.effect("that fails says why, in words that may leave the process; a 304 is told from a new set", () =>
    Effect.gen(function* () {
      const { idp, named, registered, registry, spans } = yield* world()
      yield* registry.register(registered)
      yield* settle
      yield* registry.refresh("acme", "idp")
      yield* idp.faults.status(404)
      yield* Effect.flip(registry.refresh("acme", "idp"))
      const outcomes = named("jwks.refresh").map((span) => attributesOf(span)["jwks.refresh.outcome"])
      assert.deepStrictEqual(outcomes, ["updated", "not_modified", "failed"])
      const failed = named("jwks.refresh")[2] ?? assert.fail("no span")
      assert.deepInclude(attributesOf(failed), { "error.type": "404", "jwks.refresh.trigger": "refresh" })
      assert.strictEqual(failureOf(failed), `HttpStatus: ${idp.jwksUrl} answered with status 404`)
      for (const span of spans) assert.notInclude(JSON.stringify(attributesOf(span)), "secret")
    }),
  )

  it.effect("that nobody wants any more ends its span", () =>
    Effect.gen(function* () {
      const { idp, named, registered, registry } = yield* world()
      yield* idp.faults.hang()
      yield* registry.register(registered)
      yield* settle
      yield* registry.unregister("acme", "idp")
      yield* settle
      const [refresh] = named("jwks.refresh")
      assert.deepInclude(attributesOf(refresh), {
        "jwks.refresh.outcome": "superseded",
        "jwks.refresh.trigger": "timer",
      })
      for (const span of [...named("jwks.refresh"), ...named("jwks.fetch")])
        assert.isTrue(Exit.hasInterrupts(endOf(span)))
    }),
  )
})

describe("a resolve", () => {
  it.effect("from memory has a span only where hits are traced", () =>
    Effect.gen(function* () {
      const { kid, named, registered, registry, spans, traced } = yield* world()
      yield* registry.register(registered)
      yield* settle
      const before = spans.length
      yield* traced(Effect.repeat(registry.resolveKey("acme", kid), { times: 1_000_000 }))
      yield* traced(
        Effect.repeat(Effect.provideService(JwksRegistry.resolveKey("acme", kid), JwksRegistry, registry), {
          times: 10_000,
        }),
      )
      assert.lengthOf(spans, before)
      yield* registry.resolveKey("acme", kid).pipe(Effect.provideService(TraceHits, true))
      assert.lengthOf(spans, before, "without a tracer of its caller's")
      yield* traced(registry.resolveKey("acme", kid).pipe(Effect.provideService(TraceHits, true)))
      assert.deepStrictEqual(attributesOf(named("jwks.resolveKey").at(-1)), {
        "jwks.tenant": "acme",
        "jwks.kid": kid,
        "jwks.hit": true,
      })
    }),
  )

  it.effect("that misses has one, with as much of the kid as is useful", () =>
    Effect.gen(function* () {
      const { named, registered, registry, traced } = yield* world()
      yield* registry.register(registered)
      yield* settle
      const kid = "k".repeat(1_000)
      yield* traced(Effect.flip(registry.resolveKey("acme", kid, { provider: "idp" })))
      const [miss] = named("jwks.resolveKey")
      assert.deepStrictEqual(attributesOf(miss), {
        "jwks.tenant": "acme",
        "jwks.provider": "idp",
        "jwks.kid": kid.slice(0, 128),
        "jwks.hit": false,
      })
      assert.deepInclude(attributesOf(named("jwks.refresh")[1]), {
        "jwks.refresh.trigger": "unknown_kid",
        "jwks.waiters": 1,
      })
      assert.strictEqual(named("jwks.refresh")[1]?.links[0]?.span.spanId, miss?.spanId)
      // Tokens are not typed where they come from.
      const untyped = JSON.parse('{ "toString": 1 }') as string
      yield* traced(Effect.exit(registry.resolveKey("acme", untyped)))
      assert.deepInclude(attributesOf(named("jwks.resolveKey")[1]), { "jwks.kid": "(object)" })
    }),
  )
})

describe("a tracer that is broken", () => {
  const breakAt = (what: "span" | "attribute" | "end" | "addLinks") =>
    Tracer.make({
      span: (options) => {
        if (what === "span") throw new Error("broken")
        const span = new Tracer.NativeSpan(options)
        Object.defineProperty(span, what, {
          value: () => {
            throw new Error("broken")
          },
        })
        return span
      },
    })

  for (const what of ["span", "attribute", "end", "addLinks"] as const) {
    it.effect(`costs neither refreshes nor resolves: ${what}`, () =>
      Effect.gen(function* () {
        const tracer = breakAt(what)
        const traced = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.provideService(effect, Tracer.Tracer, tracer).pipe(Effect.provideService(TraceHits, true))
        const idp = yield* ScriptedProvider.make({ keptRequests: 100 })
        const registry = yield* traced(openRegistry([idp]))
        yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl, warm: false })
        yield* idp.faults.delay("1 second", { next: 1 })
        const resolve = registry.resolveKey("acme", idp.keys.current.kid)
        const callers = yield* begin(traced(Effect.all([resolve, resolve], { concurrency: 2 })))
        yield* TestClock.adjust("1 second")
        assert.lengthOf(yield* answerAtOnce(Fiber.join(callers)), 2)
        assert.strictEqual((yield* traced(resolve)).freshness, "fresh")
        yield* traced(registry.refresh("acme", "idp"))
      }),
    )
  }
})

describe("a caller who is not to be traced", () => {
  it.effect("is linked to nothing", () =>
    Effect.gen(function* () {
      const { kid, named, registered, registry, traced } = yield* world()
      yield* registry.register({ ...registered, warm: false })
      const silent = Effect.withTracerEnabled(Effect.withSpan(registry.resolveKey("acme", kid), "silent"), false)
      yield* traced(silent)
      const [refresh] = named("jwks.refresh")
      assert.deepInclude(attributesOf(refresh), { "jwks.waiters": 1 })
      assert.isEmpty(refresh?.links)
    }),
  )
})
