/**
 * What a flight shows of itself to a tracer: one root span, linked to the spans of the callers who wait for it.
 * It is nobody's child, since it outlives whoever has begun it and serves others, too.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import { describeReason, type UnavailableReason } from "../JwksError.ts"
import type { Provider } from "../Provider.ts"
import type { KeyChanges } from "../Resolved.ts"
import { inSpan, spanFailure, type ToldSpan } from "../Tracing.ts"

/** As many callers are linked; OpenTelemetry keeps no more by default. */
const maxLinks = 128

/** What began a flight. */
export type FlightTrigger = "timer" | "resolve" | "unknown_kid" | "refresh"

/** What became of a flight. */
export type FlightResult =
  | { readonly outcome: "updated"; readonly keys: number; readonly changes: KeyChanges }
  | { readonly outcome: "not_modified"; readonly keys: number }
  | { readonly outcome: "failed" | "no_permit"; readonly reason: UnavailableReason }

export class FlightTrace {
  #span: ToldSpan | undefined
  readonly #links: Array<Tracer.SpanLink> = []
  #waiters = 0
  #result: FlightResult | undefined

  /** A caller waits for the flight, with the span that he is in. */
  joinedBy(span: Tracer.AnySpan | undefined): void {
    this.#waiters += 1
    if (span === undefined || this.#links.length >= maxLinks) return
    const link = { span, attributes: {} }
    this.#links.push(link)
    this.#span?.addLink(link)
  }

  /** Says what became of the flight. */
  ended(result: FlightResult): void {
    this.#result = result
  }

  /** Runs a flight. */
  around({ provider, tenant }: Provider, trigger: FlightTrigger, flight: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() =>
      inSpan(
        "jwks.refresh",
        {
          root: true,
          links: this.#links,
          attributes: { "jwks.tenant": tenant, "jwks.provider": provider, "jwks.refresh.trigger": trigger },
        },
        (span) => {
          this.#span = span
          return flight
        },
        (span, exit) => this.#end(span, exit),
      ),
    )
  }

  #end(span: ToldSpan, exit: Exit.Exit<void>): Exit.Exit<unknown, unknown> {
    const result = this.#result
    span.attribute("jwks.waiters", this.#waiters)
    span.attribute("jwks.refresh.outcome", result?.outcome ?? "superseded")
    if (result === undefined) return exit
    if ("reason" in result) {
      span.attribute("error.type", errorTypeOf(result.reason))
      return spanFailure(result.reason._tag, describeReason(result.reason))
    }
    span.attribute("jwks.keys", result.keys)
    if (result.outcome === "updated") {
      for (const kind of ["added", "removed", "changed"] as const) {
        span.attribute(`jwks.keys.${kind}`, result.changes[kind].length)
      }
    }
    return exit
  }
}

/** OpenTelemetry's `error.type`: the status where there is one, else the tag. */
export const errorTypeOf = (reason: UnavailableReason): string =>
  reason._tag === "HttpStatus" ? String(reason.status) : reason._tag
