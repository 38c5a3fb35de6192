/**
 * What has happened since the layer was built: takes in the registry's events for as long as it lives.
 */
import { JwksRegistry } from "@effect-jwks/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TimelineBuffer } from "./TimelineBuffer.ts"

/** The last events and failures of the registry. */
export class Timeline extends Context.Service<Timeline, TimelineBuffer>()("@effect-jwks/admin/Timeline") {
  static readonly layer: Layer.Layer<Timeline, never, JwksRegistry> = Layer.effect(
    Timeline,
    Effect.gen(function* () {
      const registry = yield* JwksRegistry
      // A later process, or another one behind the same address, never gives an id again: whoever resumes there sees
      // that his place is not in this buffer.
      const timeline = new TimelineBuffer((yield* Clock.currentTimeMillis) * 1_000 + 1)
      yield* Effect.addFinalizer(() => Effect.sync(() => timeline.close()))
      yield* registry.events.pipe(
        Stream.runForEach((event) => Effect.sync(() => timeline.record(event))),
        // At once, so that the subscription stands before anything that is built after this layer.
        Effect.forkScoped({ startImmediately: true }),
      )
      return timeline
    }),
  )
}
