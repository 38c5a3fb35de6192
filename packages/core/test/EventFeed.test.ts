import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { EventFeed } from "../src/EventFeed.ts"
import type { JwksEvent } from "../src/JwksEvent.ts"
import { settle } from "./rules/support.ts"

const event = (time: number): JwksEvent => ({ _tag: "ProviderUnregistered", tenant: "acme", provider: "idp", time })

/** A subscriber who reads only when he is let. */
const subscribe = Effect.fnUntraced(function* (feed: EventFeed) {
  const seen: Array<number> = []
  const gate = yield* Deferred.make<void>()
  yield* feed.stream.pipe(
    Stream.runForEach(({ time }) =>
      Effect.andThen(
        Deferred.await(gate),
        Effect.sync(() => void seen.push(time)),
      ),
    ),
    Effect.forkScoped({ startImmediately: true }),
  )
  return { seen, read: Effect.andThen(Deferred.succeed(gate, undefined), settle) }
})

const publish = (feed: EventFeed, from: number, to: number) => {
  for (let time = from; time <= to; time++) feed.publish(event(time))
}

describe("the feed of events", () => {
  it.effect("gives everything to who keeps up, and counts nothing", () =>
    Effect.gen(function* () {
      const feed = new EventFeed(4)
      publish(feed, 1, 10)
      const { read, seen } = yield* subscribe(feed)
      yield* read
      for (let time = 11; time <= 20; time++) {
        publish(feed, time, time)
        yield* settle
      }
      assert.deepStrictEqual(seen, [11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
      assert.strictEqual(feed.dropped, 0)
    }),
  )

  it.effect("loses the oldest of who lags behind, and counts them for each", () =>
    Effect.gen(function* () {
      const feed = new EventFeed(4)
      const [one, two] = [yield* subscribe(feed), yield* subscribe(feed)]
      publish(feed, 1, 100)
      yield* one.read
      assert.strictEqual(one.seen.at(-1), 100)
      assert.strictEqual(feed.dropped, 100 - one.seen.length)
      yield* two.read
      assert.strictEqual(two.seen.at(-1), 100)
      assert.strictEqual(feed.dropped, 200 - one.seen.length - two.seen.length)
    }),
  )

  it.effect("takes events after its end, and gives them to nobody", () =>
    Effect.gen(function* () {
      const feed = new EventFeed(4)
      yield* feed.shutdown
      publish(feed, 1, 10)
      assert.strictEqual(feed.dropped, 0)
    }),
  )
})
