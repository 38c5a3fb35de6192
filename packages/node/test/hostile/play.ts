/**
 * Plays one case through the registry, with the real transport over real sockets, and looks at more than its
 * outcome: the good set stays, nothing secret is told, nobody else is asked, no socket is left.
 */
import { assert } from "@effect/vitest"
import type { ProviderRegistration } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { type Answer, goodKeys, jwks, metadata } from "./Answer.ts"
import * as Authorities from "./Authorities.ts"
import type { Expected, HostileCase } from "./HostileCase.ts"
import { openRegistry } from "./openRegistry.ts"
import { openServers, type Servers } from "./Servers.ts"
import {
  assertAllClosed,
  assertAsked,
  assertExpected,
  assertNothingTold,
  assertRefused,
  type Asking,
  provider,
  secret,
  tenant,
} from "./verdict.ts"

/** Plays a case to its end. */
export const play = (hostile: HostileCase): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Effect.scoped(playOnce(hostile, hostile.when ?? "refresh", hostile.expected))
    if (hostile.asFirst !== undefined) yield* Effect.scoped(playOnce(hostile, "first", hostile.asFirst))
  }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))

/** The key of the good set. */
const goodKid = "static-1"

const playOnce = Effect.fnUntraced(function* (
  hostile: HostileCase,
  when: "refresh" | "first",
  expected: Expected,
): Effect.fn.Return<void, never, Scope.Scope> {
  const host = hostile.via === "fetch" ? "127.0.0.1" : "idp.test"
  let isLying = false
  let nth = 0
  const servers: Servers = yield* openServers({
    host,
    scheme: hostile.scheme ?? "http",
    certificate: (name) => (hostile.certificate ?? Authorities.goodChain)(name, isLying),
    asksForCertificate: hostile.asksForCertificate ?? false,
    proxyInterim: hostile.proxyInterim ?? [],
    proxyAnswer: hostile.proxyAnswer,
    greeting: hostile.greeting,
    answer: (asked): Answer => {
      if (!isLying && asked.target.includes("/.well-known/")) {
        return metadata({ issuer: servers.url(""), jwks_uri: servers.url("/keys") })
      }
      if (!isLying) return jwks(goodKeys(1), hostile.goodHeaders ?? ["Cache-Control: max-age=600", 'ETag: "good"'])
      nth += 1
      const { answer = jwks(goodKeys(1, 2)) } = hostile
      return typeof answer === "function" ? answer({ ...asked, nth }, servers) : answer
    },
  })
  yield* Effect.scoped(
    Effect.gen(function* () {
      const registry = yield* openRegistry(hostile, servers)
      const given =
        typeof hostile.registration === "function" ? hostile.registration(servers) : (hostile.registration ?? {})
      const registration: ProviderRegistration = {
        tenant,
        provider,
        ...(given.issuer === undefined && { jwksUrl: servers.url(`/jwks?token=${secret}`) }),
        ...given,
      }
      const lyingRegistration = {
        ...registration,
        ...(hostile.retryPolicy !== undefined && { retryPolicy: hostile.retryPolicy }),
      }
      if (hostile.neighbour !== undefined) {
        const { issuer: _, ...neighbour } = registration
        yield* Effect.orDie(registry.register({ ...neighbour, provider: "neighbour", ...hostile.neighbour }))
        yield* Effect.orDie(registry.resolve(tenant, "neighbour"))
      }
      const registered = yield* Effect.result(registry.register(when === "refresh" ? registration : lyingRegistration))
      if (Result.isFailure(registered)) {
        assert.lengthOf(servers.asked, 0)
        return assertRefused(registered.failure, expected)
      }
      assert.notStrictEqual(expected._tag, "RefusesRegistration", "the registration was taken")

      if (when === "refresh") {
        yield* Effect.orDie(registry.resolve(tenant, provider))
        // How long an attempt may take changes nothing about the set.
        yield* Effect.orDie(registry.register(lyingRegistration))
      }
      const held = when === "refresh" ? yield* Effect.orDie(registry.resolveKey(tenant, goodKid)) : undefined
      isLying = true
      const asking: Asking =
        when === "refresh"
          ? registry.refresh(tenant, provider)
          : Effect.as(registry.resolve(tenant, provider), { _tag: "Updated" })
      const outcome = yield* Effect.result(asking)
      yield* assertExpected(registry, outcome, expected)
      if (Result.isFailure(outcome)) {
        const { usable } = yield* Effect.orDie(registry.providerStatus(tenant, provider))
        assert.strictEqual(usable, held !== undefined)
        if (held !== undefined) {
          const after = yield* Effect.orDie(registry.resolveKey(tenant, goodKid))
          assert.strictEqual(after, held, "the last good set stays")
        }
      }
      yield* assertNothingTold(registry, outcome)
      assertAsked(hostile, servers, host)
      if (hostile.keepsAlive !== true) yield* assertAllClosed(servers)
    }),
  )
  yield* assertAllClosed(servers)
  assert.strictEqual(
    Object.getOwnPropertyNames(Object.prototype).length,
    prototypeMembers,
    "Object.prototype is as it was",
  )
})

const prototypeMembers = Object.getOwnPropertyNames(Object.prototype).length
