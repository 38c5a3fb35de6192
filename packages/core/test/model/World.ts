/**
 * A registry in front of scripted providers, on the test's clock, and an oracle that sees everything.
 */
import type { JwksRegistryService, RefreshOutcome, ResolvedJwks, ResolvedKey, ResolveError } from "@effect-jwks/core"
import { JwksRegistry } from "@effect-jwks/core"
import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { Command, Setup, SlotName } from "./Commands.ts"
import { addressOf, slots } from "./Commands.ts"
import { answerOf, statusOf } from "./Observed.ts"
import { Oracle } from "./Oracle.ts"
import { recording } from "./RecordingClient.ts"
import { settingsOf } from "./Registering.ts"
import { makeSites, slotAt, urlOf } from "./Sites.ts"
import type { Happening, Question, Status, TraceEvent } from "./Trace.ts"

/** Everything that a command can touch. */
export const makeWorld = Effect.fnUntraced(function* (setup: Setup) {
  const clock = yield* Clock.Clock
  const oracle = new Oracle()
  const trace: Array<TraceEvent> = []
  const record = (happening: Happening) => {
    const event = { ...happening, at: clock.currentTimeMillisUnsafe() }
    trace.push(event)
    oracle.observe(event)
  }

  const sites = yield* makeSites
  /** The provider at the URL that a slot is registered with. */
  const siteOf = (slot: SlotName) => Effect.fromNullishOr(sites.get(oracle.slots.get(slot)?.url ?? urlOf(slot, "a")))

  const built: { registry?: JwksRegistryService } = {}
  const statusAt = (slot: SlotName | undefined) => {
    const { provider, tenant } = addressOf(slot ?? slots[0])
    return Effect.orElseSucceed(built.registry?.providerStatus(tenant, provider) ?? Effect.undefined, () => undefined)
  }
  const flightsOver = (url: string) => Effect.map(statusAt(slotAt(url)), (status) => status?.refreshes ?? -1)

  const layerScope = yield* Scope.make()
  const scripted = ScriptedProvider.client(...[...sites.values()].map(({ provider }) => provider))
  const client = Layer.succeed(HttpClient.HttpClient, recording(scripted, record, flightsOver))
  const layer = Layer.provide(TestRegistry.layerNoClient(), client)
  const service = Context.get(yield* Layer.buildWithScope(layer, layerScope), JwksRegistry)
  built.registry = service

  const callers = new Map<number, Fiber.Fiber<unknown>>()
  const callerScope = yield* Effect.scope
  let asked = 0

  const answerTo = (question: Question): Effect.Effect<ResolvedKey | ResolvedJwks | RefreshOutcome, ResolveError> => {
    switch (question._tag) {
      case "ResolveKey":
        return service.resolveKey(question.tenant, question.kid, question)
      case "Resolve":
        return service.resolve(question.tenant, question.provider)
      case "Refresh":
        return service.refresh(question.tenant, question.provider)
    }
  }

  /** Somebody asks, on a fiber of their own. */
  const ask = (question: Question) =>
    Effect.suspend(() => {
      const caller = (asked += 1)
      record({ _tag: "Asked", caller, question })
      return answerTo(question).pipe(
        Effect.onExit((exit) => Effect.sync(() => record({ _tag: "Answered", caller, answer: answerOf(exit) }))),
        Effect.exit,
        Effect.forkIn(callerScope, { startImmediately: true }),
        Effect.map((fiber) => void callers.set(caller, fiber)),
      )
    })

  /** One of the callers that wait gives up. */
  const interrupt = (which: number) =>
    Effect.suspend(() => {
      const caller = oracle.waiting[which]
      const fiber = caller === undefined ? undefined : callers.get(caller)
      if (caller === undefined || fiber === undefined) return Effect.void
      record({ _tag: "Left", caller })
      return Fiber.interrupt(fiber)
    })

  const register = ({ slot, site, change }: Pick<Extract<Command, { _tag: "Register" }>, "slot" | "site" | "change">) =>
    Effect.suspend(() => {
      const { known, written } = settingsOf(setup, change)
      const url = urlOf(slot, site)
      record({ _tag: "Registered", ...addressOf(slot), url, settings: known })
      return Effect.orDie(service.register({ ...addressOf(slot), jwksUrl: url, ...written }))
    })

  const unregister = (slot: SlotName) =>
    Effect.suspend(() => {
      const { provider, tenant } = addressOf(slot)
      record({ _tag: "Unregistered", tenant, provider })
      return service.unregister(tenant, provider)
    })

  const settle = Effect.gen(function* () {
    const statuses: Record<string, Status | undefined> = {}
    for (const slot of slots) {
      const status = yield* statusAt(slot)
      statuses[slot] = status && statusOf(status)
    }
    record({ _tag: "Settled", statuses })
  })

  /**
   * Does something a millisecond later, and waits until nothing more happens: what a fiber does that the
   * clock woke is waited for, through every fork and hand-over.
   */
  const step = Effect.fnUntraced(function* <A>(effect: Effect.Effect<A>) {
    const fiber = yield* Effect.forkChild(Effect.andThen(Effect.sleep(1), effect), { startImmediately: true })
    yield* TestClock.adjust(1)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) oracle.objections.push("(4) a command that does not end")
    else yield* exit
    yield* settle
  })

  /** Lets time go on. */
  const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

  const close = Effect.suspend(() => {
    record({ _tag: "Closed" })
    return Scope.close(layerScope, Exit.void)
  })

  return { oracle, trace, clock, siteOf, ask, interrupt, register, unregister, step, pass, close }
})

/** Everything that a command can touch. */
export type World = Effect.Success<ReturnType<typeof makeWorld>>
