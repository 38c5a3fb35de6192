/**
 * Runs a plan from the first registration to the end of the layer.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import type { Command, Plan, SlotName } from "./Commands.ts"
import { addressOf, slots } from "./Commands.ts"
import { earliestRefresh } from "./KeySet.ts"
import type { Site } from "./Sites.ts"
import type { Question } from "./Trace.ts"
import type { World } from "./World.ts"
import { makeWorld } from "./World.ts"

type CommandOf<Tag extends Command["_tag"]> = Omit<Extract<Command, { readonly _tag: Tag }>, "_tag">

const questionOf = ({ oracle }: World, { kid, named, slot, wish }: CommandOf<"ResolveKey">): Question => {
  const { provider, tenant } = addressOf(slot)
  const held = oracle.slots.get(slot)?.view.set?.keys.find((key) => key.kid === kid)
  return {
    _tag: "ResolveKey",
    tenant,
    ...(named ? { provider } : {}),
    kid: kid === "none" ? undefined : kid,
    allowStale: wish !== "fresh",
    ...(wish === "another" && held !== undefined ? { notThumbprint: held.thumbprint } : {}),
  }
}

/** Lets time go on until just past a moment of the set that is held, or a little if there is none. */
const passUntil = (world: World, moment: "refresh" | "expiry" | "staleUntil", slot: SlotName) =>
  Effect.suspend(() => {
    const { upstream, view } = world.oracle.slots.get(slot) ?? {}
    const now = world.clock.currentTimeMillisUnsafe()
    if (view?.set === undefined || upstream === undefined) return world.pass(500)
    const at = {
      refresh: earliestRefresh(view.set, upstream.settings) + upstream.settings.prefetchJitter,
      expiry: view.set.expiresAt,
      staleUntil: view.set.staleUntil,
    }
    return world.pass(Math.max(1, Math.ceil(at[moment] - now) + 3))
  })

const atSite = <A>(world: World, slot: SlotName, change: (site: Site) => Effect.Effect<A>): Effect.Effect<A> =>
  Effect.flatMap(Effect.orDie(world.siteOf(slot)), change)

const publish =
  ({ change, kid }: CommandOf<"Publish">) =>
  (site: Site) =>
    site.publish(change, kid)

const setHeaders =
  ({ age, maxAge }: CommandOf<"Headers">) =>
  ({ provider }: Site) =>
    provider.respondWith({
      cacheControl: maxAge === "none" ? undefined : `max-age=${maxAge}`,
      age: age === "none" ? undefined : age,
    })

const inject =
  ({ kind, next }: CommandOf<"Fault">) =>
  ({ provider: { faults } }: Site) => {
    const options = next === "all" ? {} : { next }
    switch (kind) {
      case "refuse":
        return faults.refuse(options)
      case "hang":
        return faults.hang(options)
      case "garbage":
        return faults.body("{", options)
      case "empty":
        return faults.body('{"keys":[]}', options)
      case "500":
      case "503":
      case "404":
      case "304":
        return faults.status(Number(kind), options)
      case "503 for 1 s":
      case "503 for 30 s":
      case "503 for 3000 s":
        return faults.status(503, { ...options, retryAfter: `${Number(kind.split(" ")[2])} seconds` })
    }
  }

/** Sees to it that a request is sent. */
const startFlight = (world: World, { by, slot }: CommandOf<"Hold">): Effect.Effect<void> => {
  const { provider, tenant } = addressOf(slot)
  switch (by) {
    case "refresh":
      return world.step(world.ask({ _tag: "Refresh", tenant, provider }))
    case "unknown kid":
      return world.step(world.ask({ _tag: "ResolveKey", tenant, provider, kid: "8", allowStale: true }))
    case "timer":
      return passUntil(world, "refresh", slot)
    case "nobody":
      return Effect.void
  }
}

/** Registers, with callers that wait for a response that is held back. */
const register = (world: World, command: CommandOf<"Register">): Effect.Effect<void> => {
  const { slot, waiters } = command
  const registered = world.step(world.register(command))
  if (waiters === "none") return registered
  const hold = atSite(world, slot, ({ provider }) => provider.faults.holdNext())
  const ask = (kid: string, allowStale: boolean) =>
    world.step(world.ask({ _tag: "ResolveKey", ...addressOf(slot), kid, allowStale }))
  return waiters === "before"
    ? hold.pipe(
        Effect.andThen(startFlight(world, { by: "refresh", slot })),
        Effect.andThen(ask("8", true)),
        Effect.andThen(ask("1", false)),
        Effect.andThen(registered),
      )
    : hold.pipe(
        Effect.andThen(registered),
        Effect.andThen(ask("1", true)),
        Effect.andThen(world.pass(700)),
        Effect.andThen(ask("2", true)),
        Effect.andThen(world.pass(700)),
      )
}

/** Has the registry see what was published. */
const show = (world: World, { kid, seen, slot }: CommandOf<"Publish">): Effect.Effect<void> => {
  if (seen === "not yet") return Effect.void
  const refreshed = startFlight(world, { by: "refresh", slot })
  const asked = world.step(world.ask({ _tag: "ResolveKey", ...addressOf(slot), kid, allowStale: true }))
  return seen === "by a refresh" ? refreshed : Effect.andThen(refreshed, asked)
}

const perform = (world: World, command: Command): Effect.Effect<void> => {
  switch (command._tag) {
    case "ResolveKey":
      return world.step(world.ask(questionOf(world, command)))
    case "Resolve":
    case "Refresh":
      return world.step(world.ask({ _tag: command._tag, ...addressOf(command.slot) }))
    case "Interrupt":
      return world.step(world.interrupt(command.which))
    case "Register":
      return register(world, command)
    case "Unregister":
      return world.step(world.unregister(command.slot))
    case "Publish":
      return Effect.andThen(atSite(world, command.slot, publish(command)), show(world, command))
    case "Headers":
      return atSite(world, command.slot, setHeaders(command))
    case "Fault":
      return Effect.andThen(
        atSite(world, command.slot, inject(command)),
        command.wait === "nothing" ? Effect.void : passUntil(world, "expiry", command.slot),
      )
    case "Hold":
      return Effect.andThen(
        atSite(world, command.slot, ({ provider }) => provider.faults.holdNext()),
        startFlight(world, command),
      )
    case "Release":
      return world.step(atSite(world, command.slot, ({ provider }) => provider.faults.release()))
    case "Heal":
      return world.step(atSite(world, command.slot, ({ provider }) => provider.faults.heal))
    case "Advance":
      return world.pass(command.millis)
    case "AdvancePast":
      return passUntil(world, command.moment, command.slot)
  }
}

/** The layer closes on whoever waits; nobody hangs, then or later, and nothing goes on. */
const finish = Effect.fnUntraced(function* (world: World) {
  yield* world.step(world.close)
  world.oracle.end()
  for (const slot of slots) {
    yield* world.step(world.ask({ _tag: "Refresh", ...addressOf(slot) }))
    yield* world.step(world.ask({ _tag: "ResolveKey", ...addressOf(slot), kid: "1", allowStale: true }))
  }
  yield* TestClock.adjust("2 hours")
  world.oracle.end()
})

/** Runs a plan on a clock of its own: what happened, and what the oracle objects to. */
export const run = ({ commands, setup }: Plan) =>
  Effect.gen(function* () {
    const world = yield* makeWorld(setup)
    for (const slot of slots.slice(0, setup.registered)) {
      yield* world.step(world.register({ slot, site: "a", change: "none" }))
    }
    for (const command of commands) {
      yield* perform(world, command)
      if (world.oracle.objections.length > 0) break
    }
    yield* finish(world)
    return { trace: world.trace, objections: world.oracle.objections }
  }).pipe(
    Random.withSeed(setup.seed),
    Effect.scoped,
    Effect.provideService(References.MinimumLogLevel, "None"),
    (effect) => Effect.provide(effect, TestClock.layer()),
  )
