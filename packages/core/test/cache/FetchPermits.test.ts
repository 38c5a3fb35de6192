import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { FetchPermits, type PermitRequest } from "../../src/cache/FetchPermits.ts"

interface Attempt {
  readonly request: PermitRequest
  readonly fiber: Fiber.Fiber<void>
  readonly finish: Effect.Effect<void>
}

/** A desk of attempts that run until they are told to finish; `running` names them in order of their permits. */
const desk = (max: number) => {
  const permits = new FetchPermits(max)
  const running: Array<string> = []
  const begin = Effect.fnUntraced(function* (
    name: string,
    request: { tenant: string; suspect?: boolean; waitedFor?: boolean; isWaitedFor?: () => boolean },
  ) {
    const end = yield* Deferred.make<void>()
    const full: PermitRequest = {
      tenant: request.tenant,
      suspect: request.suspect ?? false,
      isWaitedFor: request.isWaitedFor ?? (() => request.waitedFor ?? true),
    }
    const fiber = yield* Effect.forkChild(
      permits.withPermit(
        full,
        Effect.andThen(
          Effect.sync(() => running.push(name)),
          Deferred.await(end),
        ),
      ),
      { startImmediately: true },
    )
    return {
      request: full,
      fiber,
      finish: Effect.andThen(Deferred.succeed(end, undefined), Fiber.join(fiber)),
    } satisfies Attempt
  })
  return { permits, running, begin }
}

describe("FetchPermits", () => {
  it.effect("never runs more attempts than there are permits", () =>
    Effect.gen(function* () {
      const { begin, permits, running } = desk(2)
      const a = yield* begin("a", { tenant: "1" })
      yield* begin("b", { tenant: "2" })
      yield* begin("c", { tenant: "3" })
      expect([running, permits.held]).toEqual([["a", "b"], 2])
      yield* a.finish
      expect([running, permits.held]).toEqual([["a", "b", "c"], 2])
    }),
  )

  it.effect("lets those whom a caller waits for go before background work", () =>
    Effect.gen(function* () {
      const { begin, running } = desk(1)
      const a = yield* begin("a", { tenant: "1" })
      yield* begin("background", { tenant: "2", waitedFor: false })
      const caller = yield* begin("caller", { tenant: "3", waitedFor: true })
      yield* a.finish
      yield* caller.finish
      expect(running).toEqual(["a", "caller", "background"])
    }),
  )

  it.effect("moves background work up when a caller begins to wait for it", () =>
    Effect.gen(function* () {
      const { begin, permits, running } = desk(1)
      const a = yield* begin("a", { tenant: "1" })
      let waited = false
      yield* begin("first", { tenant: "2", waitedFor: false })
      const second = yield* begin("second", { tenant: "3", isWaitedFor: () => waited })
      waited = true
      permits.reorder(second.request)
      yield* a.finish
      expect(running).toEqual(["a", "second"])
    }),
  )

  it.effect("gives one tenant at most a quarter", () =>
    Effect.gen(function* () {
      const { begin, running } = desk(8)
      for (const name of ["a1", "a2", "a3"]) yield* begin(name, { tenant: "a" })
      yield* begin("b1", { tenant: "b" })
      expect(running).toEqual(["a1", "a2", "b1"])
    }),
  )

  it.effect("lets providers that timed out share a quarter", () =>
    Effect.gen(function* () {
      const { begin, running } = desk(4)
      yield* begin("slow 1", { tenant: "a", suspect: true })
      yield* begin("slow 2", { tenant: "b", suspect: true })
      yield* begin("healthy", { tenant: "c" })
      expect(running).toEqual(["slow 1", "healthy"])
    }),
  )

  it.effect("prefers the tenant that holds and wants least", () =>
    Effect.gen(function* () {
      const { begin, running } = desk(1)
      const a = yield* begin("a", { tenant: "1" })
      yield* begin("greedy 1", { tenant: "greedy" })
      yield* begin("greedy 2", { tenant: "greedy" })
      const modest = yield* begin("modest", { tenant: "modest" })
      yield* a.finish
      expect(running).toEqual(["a", "modest"])
      yield* modest.finish
      // Inside a tenant the caller who came last.
      expect(running).toEqual(["a", "modest", "greedy 2"])
    }),
  )

  it.effect("gives the permit back when an attempt is interrupted, and forgets one that waited", () =>
    Effect.gen(function* () {
      const { begin, permits, running } = desk(1)
      const a = yield* begin("a", { tenant: "1" })
      const b = yield* begin("b", { tenant: "2" })
      yield* begin("c", { tenant: "3" })
      yield* Fiber.interrupt(b.fiber)
      yield* Fiber.interrupt(a.fiber)
      expect([running, permits.held]).toEqual([["a", "c"], 1])
    }),
  )

  it.effect("runs everything exactly once, whatever the order of demand", () =>
    Effect.gen(function* () {
      const permits = new FetchPermits(16)
      let most = 0
      const done = new Set<number>()
      yield* Effect.forEach(
        Array.from({ length: 500 }, (_, i) => i),
        (i) =>
          permits.withPermit(
            { tenant: `t${i % 7}`, suspect: i % 5 === 0, isWaitedFor: () => i % 3 === 0 },
            Effect.gen(function* () {
              most = Math.max(most, permits.held)
              yield* Effect.yieldNow
              done.add(i)
            }),
          ),
        { concurrency: "unbounded" },
      )
      expect([done.size, most, permits.held]).toEqual([500, 16, 0])
    }),
  )
})
