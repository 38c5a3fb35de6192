/**
 * What is looked at once a case was played.
 */
import { assert } from "@effect/vitest"
import {
  describeReason,
  type InvalidRegistration,
  type JwksRegistryService,
  type ResolveError,
} from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Expected, HostileCase } from "./HostileCase.ts"
import type { Servers } from "./Servers.ts"

/** Whose tokens the provider's keys are for, and its name. */
export const tenant = "acme"
export const provider = "idp"

/** Part of every URL's query, and of bodies and headers that no message may show. */
export const secret = "s3cr3t"

/** Asking a provider: anew, or for the first time. */
export type Asking = Effect.Effect<{ readonly _tag: string }, ResolveError>

type Outcome = Result.Result<Effect.Success<Asking>, Effect.Error<Asking>>

/** Fails unless the registration was refused as expected. */
export const assertRefused = ({ issues }: InvalidRegistration, expected: Expected): void => {
  if (expected._tag !== "RefusesRegistration") {
    assert.fail(`the registration was refused: ${JSON.stringify(issues)}`)
  }
  const rules = issues.filter(({ field }) => field === expected.field).map(({ rule }) => rule)
  assert.isTrue(
    rules.some((rule) => rule.includes(expected.says)),
    `${expected.field} is refused for "${expected.says}": ${JSON.stringify(issues)}`,
  )
}

/** Fails unless what came of asking is what was expected. */
export const assertExpected = Effect.fnUntraced(function* (
  registry: JwksRegistryService,
  outcome: Outcome,
  expected: Expected,
) {
  if (expected._tag === "Fails") {
    if (Result.isSuccess(outcome)) return assert.fail(`the lie was believed: ${JSON.stringify(outcome.success)}`)
    const error = outcome.failure
    if (error._tag !== "JwksUnavailable") return assert.fail(error._tag)
    const said = describeReason(error.reason)
    assert.strictEqual(error.reason._tag, expected.reason, said)
    assert.isTrue(said.includes(expected.says ?? ""), `"${said}" says "${expected.says}"`)
    if (expected.retries !== undefined) {
      const { failure } = yield* Effect.orDie(registry.providerStatus(tenant, provider))
      const waits = (failure?.nextAttemptAt ?? 0) - (failure?.at ?? 0)
      const [from, to] = expected.retries
      assert.isAtLeast(waits, from * 1_000)
      assert.isAtMost(waits, to * 1_000 + 2_000)
    }
    return
  }
  if (Result.isFailure(outcome)) return assert.fail(outcome.failure.message)
  switch (expected._tag) {
    case "Confirms":
      return assert.strictEqual(outcome.success._tag, "NotModified")
    case "Withholds": {
      const found = yield* Effect.result(registry.resolveKey(tenant, expected.kid))
      return assert.strictEqual(Result.isSuccess(found) ? "a key" : found.failure._tag, expected.error)
    }
    case "Lives": {
      const {
        expiresAt = 0,
        fetchedAt = 0,
        staleUntil = 0,
      } = yield* Effect.orDie(registry.providerStatus(tenant, provider))
      assert.closeTo((expiresAt - fetchedAt) / 1_000, expected.seconds, 2, "seconds that the set lives")
      if (expected.staleSeconds !== undefined) {
        assert.closeTo((staleUntil - expiresAt) / 1_000, expected.staleSeconds, 2, "seconds that it may be stale")
      }
      return
    }
    case "Holds": {
      assert.strictEqual(outcome.success._tag, "Updated")
      const { jwks } = yield* Effect.orDie(registry.resolve(tenant, provider))
      assert.deepStrictEqual<ReadonlyArray<unknown>>(
        jwks.keys.map(({ kid }) => kid),
        expected.kids,
      )
      assertFrozen(jwks)
      const { dropped } = yield* Effect.orDie(registry.providerStatus(tenant, provider))
      assert.deepStrictEqual<ReadonlyArray<unknown>>(
        dropped.map(({ reason }) => reason),
        expected.dropped,
      )
      for (const { kid, reason } of dropped) {
        if (kid === undefined || expected.kids.includes(kid)) continue
        assert.deepInclude(yield* Effect.orDie(Effect.flip(registry.resolveKey(tenant, kid))), {
          _tag: "KeyNotFound",
          dropped: reason,
        })
      }
      return
    }
    case "RefusesRegistration":
      return assert.fail("the registration was taken")
  }
})

/** Frozen through and through, and every object a plain one. */
const assertFrozen = (answer: unknown): void => {
  const pending: Array<unknown> = [answer]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next !== "object" || next === null) continue
    assert.isTrue(Object.isFrozen(next), "answers are frozen")
    assert.isTrue(
      Object.getPrototypeOf(next) === (Array.isArray(next) ? Array.prototype : Object.prototype),
      "answers are plain",
    )
    assert.isFalse(Object.hasOwn(next, "__proto__"), "no answer has a member __proto__")
    pending.push(...Object.values(next))
  }
}

/** Fails if the query of a URL, a body or a header is told. */
export const assertNothingTold = Effect.fnUntraced(function* (registry: JwksRegistryService, outcome: Outcome) {
  const status = yield* Effect.orDie(registry.providerStatus(tenant, provider))
  const told = Result.isFailure(outcome) ? [outcome.failure.message, outcome.failure, status] : [status]
  assert.notInclude(JSON.stringify(told), secret)
})

/** All that a request may hold; fetch adds the second line. */
const fields = new Set([
  ...["host", "connection", "accept", "accept-encoding", "user-agent", "if-none-match", "if-modified-since"],
  ...["cache-control", "accept-language", "sec-fetch-mode", "pragma"],
])

/** Fails if somebody else was asked than the case allows, or otherwise than by a plain GET. */
export const assertAsked = (hostile: HostileCase, { asked }: Servers, host: string): void => {
  for (const request of asked) {
    assert.strictEqual(request.method, "GET")
    assert.include([host, ...(hostile.reaches ?? [])], request.host, "nobody else is asked")
    for (const name of request.headers.keys()) assert.isTrue(fields.has(name), `no request holds ${name}`)
  }
}

/** Waits until the client has closed every connection; fails if it does not. */
export const assertAllClosed = ({ connections }: Servers): Effect.Effect<void> =>
  Effect.all(connections.map((server) => server.allClosed)).pipe(
    Effect.timeoutOrElse({
      duration: "3 seconds",
      orElse: () => Effect.sync(() => assert.fail("a socket was left open")),
    }),
    Effect.asVoid,
  )
