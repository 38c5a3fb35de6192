/**
 * What goes wrong at a provider, on demand: faults for the next requests or until healed, responses
 * that are held back, and effects that wait until a request has met them.
 *
 * Both twins render the same faults: the server on its sockets, the scripted provider in the response
 * it hands over.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"

/** What a URL of the provider is for. */
export type Endpoint = "jwks" | "discovery" | "other"

/** What a request meets instead of the answer it asked for. */
export type Fault =
  /** The right answer, only later. */
  | { readonly _tag: "Delay" }
  /** No answer, ever; the connection stays open. */
  | { readonly _tag: "Hang" }
  /** No answer; the connection is reset. */
  | { readonly _tag: "Refuse" }
  /** The right answer, but the connection is reset half-way through the body. */
  | { readonly _tag: "ResetMidway" }
  /** The right answer, but the connection is closed half-way through the announced length. */
  | { readonly _tag: "Truncated" }
  /** The right answer behind so much white space that the body has this many bytes. */
  | { readonly _tag: "Oversized"; readonly bytes: number }
  /** Another answer. */
  | {
      readonly _tag: "Replace"
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string | Uint8Array
    }

/** Which requests meet a fault. */
export interface FaultOptions {
  /** How many requests meet it. Default: every one until `heal`. */
  readonly next?: number
  /** Only requests for this. Default: all. */
  readonly only?: Endpoint
  /** How long they wait before they meet it. Default: not at all. */
  readonly after?: Duration.Input
}

/** What `status` answers with beside the status. */
export interface StatusOptions extends FaultOptions {
  /** `Retry-After` in whole seconds, rounded up. A date, or nonsense, goes into `headers`. */
  readonly retryAfter?: Duration.Input
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** How `body` dresses up its lie. */
export interface BodyOptions extends FaultOptions {
  /** Default: `application/jwk-set+json`. */
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Faults of one provider.
 *
 * **Details**
 *
 * Faults with `next` are met in the order in which they were injected, each by one request at a time;
 * when they are used up, the last fault without `next` is met until `heal`. Delays run on Effect's
 * clock at a scripted provider and in real time at a server.
 *
 * What a request is answered with is settled when it arrives: a response that was held or delayed
 * over a rotation brings the old keys, as a slow network would.
 *
 * **Example** (Two failures, then a slow answer)
 *
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { ScriptedProvider } from "@effect-jwks/testing"
 *
 * const program = Effect.gen(function* () {
 *   const provider = yield* ScriptedProvider.make({ issuer: "https://idp.test" })
 *   yield* provider.faults.status(503, { next: 2, retryAfter: "2 seconds" })
 *   yield* provider.faults.delay("1 second", { next: 1 })
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export interface Faults {
  /** The right answer, but later. */
  readonly delay: (duration: Duration.Input, options?: Omit<FaultOptions, "after">) => Effect.Effect<void>
  /** No answer: the headers never come. */
  readonly hang: (options?: FaultOptions) => Effect.Effect<void>
  /** No answer: the connection is reset at once. */
  readonly refuse: (options?: FaultOptions) => Effect.Effect<void>
  /** The connection is reset half-way through the body. */
  readonly resetMidway: (options?: FaultOptions) => Effect.Effect<void>
  /** The connection is closed in good order half-way through the announced `Content-Length`. */
  readonly truncated: (options?: FaultOptions) => Effect.Effect<void>
  /** A body of this many bytes, streamed without `Content-Length`: white space, and then the document. `Infinity` never ends. */
  readonly oversized: (bytes: number, options?: FaultOptions) => Effect.Effect<void>
  /** Another status, with an empty body if none is given; also a 304 that nobody asked for. */
  readonly status: (status: number, options?: StatusOptions) => Effect.Effect<void>
  /** A redirect; 302 if no status is given. */
  readonly redirect: (location: string, status?: number, options?: FaultOptions) => Effect.Effect<void>
  /** A 200 with another body, without validators. */
  readonly body: (body: string | Uint8Array, options?: BodyOptions) => Effect.Effect<void>
  /** Holds every response back until `release` or `heal`. */
  readonly hold: Effect.Effect<void>
  /** Holds the next responses back, one if no count is given; those after them pass. */
  readonly holdNext: (count?: number) => Effect.Effect<void>
  /**
   * Lets held responses go, the oldest first, and answers how many went.
   *
   * Without a count all go, and nothing more is held; with one, holding goes on.
   */
  readonly release: (count?: number) => Effect.Effect<number>
  /** Ends every fault and every hold. Requests that hang already stay without an answer. */
  readonly heal: Effect.Effect<void>
  /** How many requests have met a fault. */
  readonly met: number
  /** How many responses are held back now. */
  readonly held: number
  /** Waits until `count` requests have met a fault. */
  readonly awaitMet: (count: number) => Effect.Effect<void>
  /** Waits until `count` responses are held back at once. */
  readonly awaitHeld: (count: number) => Effect.Effect<void>
}
