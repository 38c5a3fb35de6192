/**
 * The stream of events, kept open: it resumes after the last event that it saw, waits longer after every failure, and
 * gives up a connection that has gone silent.
 */
import { inBackground } from "./Background.ts"
import { reconnectDelay } from "../model/Backoff.ts"
import { EventStreamText } from "../model/EventStreamText.ts"
import type { StreamMessage } from "../model/EventStreamText.ts"
import { isRecord, isTimelineEvent } from "../model/Wire.ts"
import type { TimelineEvent } from "../model/Wire.ts"
import { ApiProblem, isAbort } from "./AdminApi.ts"
import type { AdminApi } from "./AdminApi.ts"

export type StreamState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Lost; the next attempt is made at `retryAt`, by the clock of this machine. */
  | { readonly kind: "lost"; readonly retryAt: number }

export interface LiveStreamListener {
  readonly onState: (state: StreamState) => void
  /** The stream is open; `isAgain` after it had been lost. */
  readonly onOpen: (isAgain: boolean) => void
  readonly onEvent: (event: TimelineEvent) => void
  /** The server could not give every event to this page. */
  readonly onDropped: (dropped: number) => void
  readonly onUnauthorized: () => void
}

/** The server sends a comment every 15 s; two of them may be late before the connection counts as dead. */
const silenceLimit = 40_000

export class LiveStream {
  readonly #api: AdminApi
  readonly #listener: LiveStreamListener
  #running: AbortController | undefined
  #hurry: (() => void) | undefined
  #after: number | undefined

  constructor(api: AdminApi, listener: LiveStreamListener) {
    this.#api = api
    this.#listener = listener
  }

  /** Begins to listen, after the event with the id `after`. */
  start(after: number | undefined): void {
    this.stop()
    this.#after = after
    const running = new AbortController()
    this.#running = running
    inBackground(this.#keepOpen(running.signal))
  }

  stop(): void {
    this.#running?.abort()
    this.#running = undefined
  }

  /** Resumes from another event: the server began to count anew. */
  resumeAfter(after: number | undefined): void {
    this.#after = after
  }

  /** Makes the next attempt at once. */
  retryNow(): void {
    this.#hurry?.()
  }

  async #keepOpen(stopped: AbortSignal): Promise<void> {
    let failures = 0
    let wasOpen = false
    while (!stopped.aborted) {
      this.#listener.onState({ kind: "connecting" })
      try {
        await this.#readOnce(stopped, () => {
          failures = 0
          this.#listener.onState({ kind: "live" })
          this.#listener.onOpen(wasOpen)
          wasOpen = true
        })
      } catch (error) {
        if (error instanceof ApiProblem && error.kind === "unauthorized") {
          if (!stopped.aborted) this.#listener.onUnauthorized()
          return
        }
        if (!(error instanceof ApiProblem) && !isAbort(error) && !(error instanceof TypeError)) throw error
      }
      if (stopped.aborted) return
      // Also an orderly end of the stream: the server goes down, or a proxy has had enough.
      failures += 1
      await this.#pause(reconnectDelay(failures, Math.random()), stopped)
    }
  }

  /** Reads one connection to its end. */
  async #readOnce(stopped: AbortSignal, onOpen: () => void): Promise<void> {
    const silent = new AbortController()
    let timer = setTimeout(() => silent.abort(), silenceLimit)
    const reading = AbortSignal.any([stopped, silent.signal])
    try {
      const reader = (await this.#api.stream(this.#after, reading)).getReader()
      onOpen()
      const decoder = new TextDecoder()
      const text = new EventStreamText()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        clearTimeout(timer)
        timer = setTimeout(() => silent.abort(), silenceLimit)
        for (const message of text.read(decoder.decode(value, { stream: true }))) this.#take(message)
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #take(message: StreamMessage): void {
    let data: unknown
    try {
      data = JSON.parse(message.data)
    } catch {
      return // not of this API
    }
    if (message.event === "dropped") {
      this.#listener.onDropped(isRecord(data) && typeof data["dropped"] === "number" ? data["dropped"] : 0)
    } else if (message.event === "jwks" && isTimelineEvent(data)) {
      this.#after = data.id
      this.#listener.onEvent(data)
    }
  }

  #pause(millis: number, stopped: AbortSignal): Promise<void> {
    this.#listener.onState({ kind: "lost", retryAt: Date.now() + millis })
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        stopped.removeEventListener("abort", end)
        this.#hurry = undefined
        resolve()
      }
      const timer = setTimeout(end, millis)
      stopped.addEventListener("abort", end)
      this.#hurry = end
    })
  }
}
