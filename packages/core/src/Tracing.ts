/**
 * Spans, where somebody traces: without a tracer in the context none is made, and nothing is paid for it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import type { ResolveKeyOptions } from "./Resolved.ts"

/**
 * Whether resolves that are answered from memory get a span, too.
 *
 * **Details**
 *
 * Off by default: a span takes ten times as long as a hit. Misses are traced wherever there is a tracer.
 */
export const TraceHits = Context.Reference<boolean>("@effect-jwks/core/TraceHits", { defaultValue: () => false })

/** Whether whoever runs a fiber traces it. */
export const isTraced = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracerEnabled

/** A reason why a span failed, for the tracer alone. */
class SpanFailed extends Error {
  override readonly name: string

  constructor(name: string, message: string) {
    super(message)
    this.name = name
  }
}

/** Fails a span with a name from a small set, and words that may leave the process. */
export const spanFailure = (name: string, message: string): Exit.Exit<never, unknown> => {
  const failed: unknown = new SpanFailed(name, message)
  return Exit.fail(failed)
}

/** The span that somebody is in, as far as it may be shown to others. */
export const shownSpan = ({ cache }: Fiber.Fiber<unknown, unknown>): Tracer.AnySpan | undefined =>
  cache.span === undefined || !cache.tracerEnabled || Context.get(cache.span.annotations, Tracer.DisablePropagation)
    ? undefined
    : cache.span

/** A span of a tracer that may be broken: what it does not take is lost, and nothing else. */
export class ToldSpan {
  readonly #span: Tracer.Span

  constructor(span: Tracer.Span) {
    this.#span = span
  }

  attribute(name: string, value: unknown): void {
    Result.try(() => this.#span.attribute(name, value))
  }

  addLink(link: Tracer.SpanLink): void {
    Result.try(() => this.#span.addLinks([link]))
  }

  end(now: bigint, exit: Exit.Exit<unknown, unknown>): void {
    Result.try(() => this.#span.end(now, exit))
  }
}

/**
 * Runs an effect in a span where it is traced. `end` adds what is known at the end, and says how the span
 * ends, since it may have better words for a failure. A tracer that throws costs the span alone.
 */
export const inSpan = <A, E, R>(
  name: string,
  options: Tracer.SpanOptionsNoTrace,
  use: (span: ToldSpan | undefined) => Effect.Effect<A, E, R>,
  end: (span: ToldSpan, exit: Exit.Exit<A, E>) => Exit.Exit<unknown, unknown>,
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (!isTraced(fiber)) return use(undefined)
    const made = Effect.catchDefect(Effect.makeSpan(name, options), () => Effect.undefined)
    return Effect.flatMap(made, (span) => {
      if (span === undefined) return use(undefined)
      const told = new ToldSpan(span)
      return Effect.onExit(Effect.withParentSpan(use(told), span), (exit) =>
        Effect.map(Clock.currentTimeNanos, (now) => told.end(now, end(told, exit))),
      )
    })
  })

/** Of what a caller asks for: a kid may be anybody's, as long as he likes, and not even text. */
const shown = (id: unknown): string => (typeof id === "string" ? id.slice(0, 128) : `(${typeof id})`)

/** A resolve in a span of its own. */
export const inResolveSpan = <A, E>(
  resolve: Effect.Effect<A, E>,
  tenant: string,
  kid: string | undefined,
  options: ResolveKeyOptions | undefined,
  isHit: boolean,
): Effect.Effect<A, E> =>
  inSpan(
    "jwks.resolveKey",
    {
      attributes: {
        "jwks.tenant": shown(tenant),
        ...(options?.provider !== undefined && { "jwks.provider": shown(options.provider) }),
        ...(kid !== undefined && { "jwks.kid": shown(kid) }),
        "jwks.hit": isHit,
      },
    },
    () => resolve,
    (_, exit) => exit,
  )
