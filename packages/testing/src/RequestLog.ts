/**
 * What reached a provider and what it answered: counters, the last requests, and effects that wait
 * for the next ones.
 */
import type * as Effect from "effect/Effect"
import type { Endpoint, Fault } from "./Faults.ts"
import * as Level from "./internal/Level.ts"

/** A request that arrived. */
export interface RecordedRequest {
  readonly method: string
  readonly url: string
  readonly endpoint: Endpoint
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  /** When it arrived: epoch milliseconds by the provider's clock. */
  readonly at: number
  /** The fault that it met. */
  readonly fault: Fault["_tag"] | undefined
  /** The status that it was answered with, `undefined` before that. */
  readonly status: number | undefined
}

/**
 * What reached a provider, counted where it arrived.
 *
 * **Details**
 *
 * Every member says how things stand at the moment it is read; counters never go back.
 */
export interface RequestLog {
  /** Requests that arrived. */
  readonly requests: number
  /** Requests that arrived, by what they asked for. */
  readonly requestsFor: Readonly<Record<Endpoint, number>>
  /** Responses with status 200, those that break off in the body included. */
  readonly ok: number
  /** Responses with status 304. */
  readonly notModified: number
  /** Responses by status. */
  readonly byStatus: Readonly<Record<number, number>>
  /** Requests whose client left before the answer. */
  readonly abandoned: number
  /** The last requests, the latest at the end. */
  readonly log: ReadonlyArray<RecordedRequest>
  /** Waits until `count` requests have arrived since the beginning. */
  readonly awaitRequests: (count: number) => Effect.Effect<void>
  /** Waits until `count` exchanges are over since the beginning, however they ended. */
  readonly awaitResponses: (count: number) => Effect.Effect<void>
  /** Waits until `count` clients have left before their answer. */
  readonly awaitAbandoned: (count: number) => Effect.Effect<void>
}

/** One exchange, as the provider goes through it. */
export interface Exchange {
  /** The response begins. */
  readonly answered: (status: number) => void
  /** The exchange is over; counts as abandoned if the client left before an answer. */
  readonly ended: (clientLeft: boolean) => void
}

/** {@link RequestLog} with the side that a provider writes to. */
export interface RequestRecorder extends RequestLog {
  readonly arrived: (request: Omit<RecordedRequest, "status">) => Exchange
}

/** An empty log that keeps the last `kept` requests. */
export const make = (kept: number): RequestRecorder => {
  const requests = Level.make()
  const responses = Level.make()
  const abandoned = Level.make()
  const requestsFor: Record<Endpoint, number> = { jwks: 0, discovery: 0, other: 0 }
  const byStatus: Record<number, number> = {}
  const log: Array<Omit<RecordedRequest, "status"> & { status: number | undefined }> = []

  return {
    get requests() {
      return requests.value
    },
    get requestsFor() {
      return { ...requestsFor }
    },
    get ok() {
      return byStatus[200] ?? 0
    },
    get notModified() {
      return byStatus[304] ?? 0
    },
    get byStatus() {
      return { ...byStatus }
    },
    get abandoned() {
      return abandoned.value
    },
    get log() {
      return log.map((request) => ({ ...request }))
    },
    awaitRequests: requests.atLeast,
    awaitResponses: responses.atLeast,
    awaitAbandoned: abandoned.atLeast,
    arrived: (request) => {
      const recorded: (typeof log)[number] = { ...request, status: undefined }
      let over = false
      log.push(recorded)
      if (log.length > kept) log.shift()
      requestsFor[request.endpoint] += 1
      requests.add(1)
      return {
        answered: (status) => {
          recorded.status = status
          byStatus[status] = (byStatus[status] ?? 0) + 1
        },
        ended: (clientLeft) => {
          if (over) return
          over = true
          if (clientLeft) abandoned.add(1)
          responses.add(1)
        },
      }
    },
  }
}
