/**
 * The public stream of events: bounded, so that a subscriber who lags behind never slows the cache. He loses the
 * oldest events, and how many were lost is counted.
 */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { JwksEvent } from "./JwksEvent.ts"

/** An event and its place among all that were published. */
interface Numbered {
  readonly number: number
  readonly event: JwksEvent
}

export class EventFeed {
  readonly #capacity: number
  /** Made for the first subscriber: most requests of an edge platform have none, and its buffer is large. */
  #events: PubSub.PubSub<Numbered> | undefined
  #isShut = false
  #published = 0
  #dropped = 0

  /** A feed whose subscribers may lag behind by so many events. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Events that subscribers have not seen, as far as they have noticed: each counts his own. */
  get dropped(): number {
    return this.#dropped
  }

  publish(event: JwksEvent): void {
    this.#published += 1
    if (this.#events === undefined) return
    const numbered = { number: this.#published, event }
    // Only a full buffer takes an effect, which drops its oldest event.
    if (!PubSub.publishUnsafe(this.#events, numbered)) Effect.runSync(PubSub.publish(this.#events, numbered))
  }

  /** What happens from now on. */
  readonly stream: Stream.Stream<JwksEvent> = Stream.unwrap(
    Effect.suspend(() =>
      Effect.map(Effect.flatMap(this.#opened, PubSub.subscribe), (subscription) => {
        let last = this.#published
        return Stream.map(Stream.fromSubscription(subscription), ({ event, number }) => {
          // Those that came between the subscription and this step are none that were lost.
          this.#dropped += Math.max(0, number - last - 1)
          last = number
          return event
        })
      }),
    ),
  )

  get #opened(): Effect.Effect<PubSub.PubSub<Numbered>> {
    if (this.#events !== undefined) return Effect.succeed(this.#events)
    return Effect.flatMap(PubSub.sliding<Numbered>(this.#capacity), (made) => {
      const events = (this.#events ??= made)
      return Effect.as(this.#isShut ? PubSub.shutdown(events) : Effect.void, events)
    })
  }

  get shutdown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#isShut = true
      return this.#events === undefined ? Effect.void : PubSub.shutdown(this.#events)
    })
  }
}
