/**
 * Spans, where somebody traces: without a tracer in the context none is made, and nothing is paid for it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
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

/**
 * Runs an effect in a span where it is traced. `end` adds what is known at the end, and says how the span
 * ends, since it may have better words for a failure.
 */
export const inSpan = <A, E, R>(
  name: string,
  options: Tracer.SpanOptionsNoTrace,
  use: (span: Tracer.Span | undefined) => Effect.Effect<A, E, R>,
  end: (span: Tracer.Span, exit: Exit.Exit<A, E>) => Exit.Exit<unknown, unknown>,
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (!isTraced(fiber)) return use(undefined)
    return Effect.flatMap(Effect.makeSpan(name, options), (span) =>
      Effect.onExit(Effect.withParentSpan(use(span), span), (exit) =>
        Effect.map(Clock.currentTimeNanos, (now) => span.end(now, end(span, exit))),
      ),
    )
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
  Effect.withSpan(resolve, "jwks.resolveKey", {
    captureStackTrace: false,
    attributes: {
      "jwks.tenant": shown(tenant),
      ...(options?.provider !== undefined && { "jwks.provider": options.provider }),
      ...(kid !== undefined && { "jwks.kid": shown(kid) }),
      "jwks.hit": isHit,
    },
  })
