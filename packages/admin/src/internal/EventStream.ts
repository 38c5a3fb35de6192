/**
 * The timeline as server-sent events (HTML standard, section 9.2): pulled by the socket of the one who reads, from
 * where he stands in the shared buffer.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { TimelineEvent } from "../TimelineModel.ts"
import type { TimelineBuffer } from "./TimelineBuffer.ts"

/** The longest silence, so that proxies keep the connection and a client that has gone is noticed. */
const keepAlive = "15 seconds"

/** Events of one write at most; more would wait in the socket's memory. */
const batch = 100

const eventFrame = (event: TimelineEvent): string => `id: ${event.id}\nevent: jwks\ndata: ${JSON.stringify(event)}\n\n`

const droppedFrame = (dropped: number): string => `event: dropped\ndata: ${JSON.stringify({ dropped })}\n\n`

const firstFrame = ": connected\n\n"
const idleFrame = ": keep-alive\n\n"

/** An id as the header `Last-Event-ID` gives it back. */
export const idOf = (header: string | undefined): number | undefined => {
  const id = header === undefined || !/^\d{1,16}$/.test(header) ? Number.NaN : Number(header)
  return Number.isSafeInteger(id) ? id : undefined
}

/** Events after an id, until the timeline ends; without an id, those that happen from now on. */
export const eventStream = (timeline: TimelineBuffer, resumeAfter: number | undefined): Stream.Stream<Uint8Array> => {
  const next = Effect.fnUntraced(function* (id: number) {
    const { items, missed } = timeline.after(id, batch)
    const last = items.at(-1)
    if (last !== undefined || missed > 0) {
      const frames = items.map(eventFrame).join("")
      return [missed > 0 ? droppedFrame(missed) + frames : frames, last?.id ?? timeline.newestId] as const
    }
    if (timeline.isClosed) return undefined
    const waited = yield* Effect.timeoutOption(timeline.awaitAfter(id), keepAlive)
    return [Option.isNone(waited) ? idleFrame : "", id] as const
  })
  const start = resumeAfter ?? timeline.newestId
  return Stream.make(firstFrame).pipe(
    Stream.concat(Stream.filter(Stream.unfold(start, next), (text) => text !== "")),
    Stream.encodeText,
  )
}
