/**
 * Faults from both sides: what a test injects, and what an arriving request meets.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Endpoint, Fault, FaultOptions, Faults } from "../Faults.ts"
import * as Level from "./Level.ts"

/** What one request meets. */
export interface Encounter {
  readonly fault: Fault | undefined
  /** Waits for as long as the response is held back or delayed. */
  readonly wait: Effect.Effect<void>
}

/** {@link Faults} with the side that a provider sees. */
export interface FaultControl extends Faults {
  /** What the request that has just arrived meets. */
  readonly meet: (endpoint: Endpoint) => Encounter
}

interface Injected {
  readonly fault: Fault
  readonly only: Endpoint | undefined
  readonly after: Duration.Input | undefined
  remaining: number
}

/** No faults, and the means to inject them. */
export const make = (): FaultControl => {
  let counted: ReadonlyArray<Injected> = []
  let lasting: Injected | undefined
  let toHold = 0
  const gates = new Set<Deferred.Deferred<void>>()
  const met = Level.make()
  const held = Level.make()

  const inject = (fault: Fault, { next, only, after }: FaultOptions = {}) =>
    Effect.sync(() => {
      const injected = { fault, only, after, remaining: next ?? Infinity }
      if (next === undefined) lasting = injected
      else counted = [...counted, injected]
    })

  const take = (endpoint: Endpoint): Injected | undefined => {
    counted = counted.filter(({ remaining }) => remaining > 0)
    const fits = ({ only }: Injected) => only === undefined || only === endpoint
    const injected = counted.find(fits) ?? (lasting !== undefined && fits(lasting) ? lasting : undefined)
    if (injected === undefined) return undefined
    injected.remaining -= 1
    met.add(1)
    return injected
  }

  const open = (gate: Deferred.Deferred<void>) => {
    if (!gates.delete(gate)) return
    held.add(-1)
    Deferred.doneUnsafe(gate, Effect.void)
  }
  const openAll = () => {
    toHold = 0
    for (const gate of [...gates]) open(gate)
  }

  const gated = (): Effect.Effect<void> => {
    if (toHold === 0) return Effect.void
    toHold -= 1
    const gate = Deferred.makeUnsafe<void>()
    gates.add(gate)
    held.add(1)
    // A client that leaves while its response is held is held no longer.
    return Effect.ensuring(
      Deferred.await(gate),
      Effect.sync(() => open(gate)),
    )
  }

  return {
    delay: (after, options) => inject({ _tag: "Delay" }, { ...options, after }),
    hang: (options) => inject({ _tag: "Hang" }, options),
    refuse: (options) => inject({ _tag: "Refuse" }, options),
    resetMidway: (options) => inject({ _tag: "ResetMidway" }, options),
    truncated: (options) => inject({ _tag: "Truncated" }, options),
    oversized: (bytes, options) => inject({ _tag: "Oversized", bytes }, options),
    status: (status, { retryAfter, headers, body = "", ...options } = {}) => {
      const wait = retryAfter === undefined ? {} : { "retry-after": String(Math.ceil(Duration.toSeconds(retryAfter))) }
      return inject({ _tag: "Replace", status, headers: { ...wait, ...headers }, body }, options)
    },
    redirect: (location, status = 302, options = {}) =>
      inject({ _tag: "Replace", status, headers: { location }, body: "" }, options),
    body: (body, { contentType = "application/jwk-set+json", headers, ...options } = {}) =>
      inject({ _tag: "Replace", status: 200, headers: { "content-type": contentType, ...headers }, body }, options),
    hold: Effect.sync(() => {
      toHold = Infinity
    }),
    holdNext: (count = 1) =>
      Effect.sync(() => {
        toHold += count
      }),
    release: (count) =>
      Effect.sync(() => {
        if (count === undefined) toHold = 0
        // A copy: what is released may at once bring the next request that is held.
        const released = [...gates].slice(0, count)
        for (const gate of released) open(gate)
        return released.length
      }),
    heal: Effect.sync(() => {
      counted = []
      lasting = undefined
      openAll()
    }),
    get met() {
      return met.value
    },
    get held() {
      return held.value
    },
    awaitMet: met.atLeast,
    awaitHeld: held.atLeast,
    meet: (endpoint) => {
      const injected = take(endpoint)
      const gate = gated()
      return {
        fault: injected?.fault,
        wait: injected?.after === undefined ? gate : Effect.andThen(gate, Effect.sleep(injected.after)),
      }
    },
  }
}
