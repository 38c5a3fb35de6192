/**
 * This library, with its metrics on: asked by an effect, and by code on promises.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Persistence from "effect/persistence/Persistence"
import * as References from "effect/References"
import type { Token } from "../tokens.ts"
import type { Contestant, Enter } from "./contestant.ts"

const JwksLive = JwksRegistry.layer({
  requireHttps: false,
  allowPrivateAddresses: true,
  // All providers load at once here, so the last ones wait long for a permit.
  defaults: { requireHttps: false, retryPolicy: { deadline: "2 minutes" } },
}).pipe(
  Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layer]),
  // A line for each tenant's first keys would bury the table.
  Layer.provide(Layer.succeed(References.MinimumLogLevel, "Warn")),
)

const resolve = ({ kid, tenant }: Token) => JwksRegistry.resolveKey(tenant, kid)

export const enter: Enter = async (upstream, tenants) => {
  const runtime = ManagedRuntime.make(JwksLive)
  await runtime.runPromise(
    Effect.gen(function* () {
      for (const { tenant } of tenants) {
        yield* JwksRegistry.register({ tenant, provider: "idp", jwksUrl: upstream.jwksUrlOf(tenant) })
      }
      const results = yield* JwksRegistry.warmUp({ timeout: "2 minutes" })
      const cold = results.find(({ outcome }) => outcome !== "usable")
      if (cold !== undefined) return yield* Effect.die(new Error(`${cold.tenant} did not load: ${cold.reason}`))
    }),
  )
  const modulusOf = async (token: Token) => (await runtime.runPromise(resolve(token))).jwk.n

  const inFiber: Contestant = {
    id: "fiber",
    name: "effect-jwks, in a fiber",
    modulusOf,
    run: (tokens) =>
      runtime.runPromise(
        Effect.gen(function* () {
          let found = 0
          for (const { kid, tenant } of tokens) {
            const key = yield* JwksRegistry.resolveKey(tenant, kid)
            if (key !== undefined) found += 1
          }
          return found
        }),
      ),
  }

  const fromPromises: Contestant = {
    id: "promise",
    name: "effect-jwks, runPromise",
    modulusOf,
    run: async (tokens) => {
      let found = 0
      for (const { kid, tenant } of tokens) {
        const key = await runtime.runPromise(JwksRegistry.resolveKey(tenant, kid))
        if (key !== undefined) found += 1
      }
      return found
    },
  }

  // The quickest public way for code on promises: a hit ends its fiber at once, and nothing is awaited.
  const resolveNow = ({ kid, tenant }: Token) => {
    const fiber = runtime.runFork(JwksRegistry.resolveKey(tenant, kid))
    const exit = fiber.pollUnsafe()
    return exit !== undefined && Exit.isSuccess(exit) ? exit.value : Effect.runPromise(Fiber.join(fiber))
  }
  const fromPromisesWithoutWaiting: Contestant = {
    id: "poll",
    name: "effect-jwks, runFork and poll",
    modulusOf: async (token) => (await resolveNow(token)).jwk.n,
    run: async (tokens) => {
      let found = 0
      for (const token of tokens) {
        const answer = resolveNow(token)
        const key = answer instanceof Promise ? await answer : answer
        if (key !== undefined) found += 1
      }
      return found
    },
  }

  return { contestants: [inFiber, fromPromises, fromPromisesWithoutWaiting], close: () => runtime.dispose() }
}
