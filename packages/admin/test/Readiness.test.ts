import { assert, describe, it } from "@effect/vitest"
import type { Readiness, ReadinessPolicy } from "@effect-jwks/admin"
import type { ProviderStatus } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import { failedStatus, openAdminOn, statusOf, token, toldRegistry } from "./support/OpenAdmin.ts"

const up = statusOf({ provider: "up" })
const down = failedStatus(statusOf({ provider: "down" }))
const name = (provider: string) => ({ tenant: "acme", provider })

const readiness = Effect.fnUntraced(function* (policy: ReadinessPolicy, statuses: ReadonlyArray<ProviderStatus>) {
  const { registry } = yield* toldRegistry(statuses)
  const { ask } = yield* openAdminOn(registry, { token, readiness: policy })
  const response = yield* ask("/health/ready")
  const body = yield* Effect.promise(async () => (await response.json()) as Readiness)
  assert.strictEqual(response.status, body.ready ? 200 : 503)
  return body
})

describe("Readiness", () => {
  it.effect.each<[ReadinessPolicy, ReadonlyArray<ProviderStatus>, boolean]>([
    ["all", [], true],
    ["all", [up], true],
    ["all", [up, down], false],
    ["some", [], false],
    ["some", [up, down], true],
    ["some", [down], false],
    [{ critical: [] }, [], true],
    [{ critical: [name("up")] }, [up, down], true],
    [{ critical: [name("up"), name("down")] }, [up, down], false],
    [{ critical: [name("up")] }, [], false],
  ])("%j with %j", ([policy, statuses, expected]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* readiness(policy, statuses)).ready, expected)
    }),
  )

  it.effect("names the policy, who counts, and who is missing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* readiness({ critical: [name("down"), name("gone"), name("up")] }, [up, down]), {
        ready: false,
        policy: "critical",
        usable: 1,
        total: 3,
        missing: [name("down"), name("gone")],
      })
    }),
  )

  it.effect("names 20 missing providers at most", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 50 }, (_, n) => failedStatus(statusOf({ provider: `p${n}` })))
      const { missing, total } = yield* readiness("all", many)
      assert.deepStrictEqual([missing.length, total], [20, 50])
    }),
  )

  it.effect("is some by default", () =>
    Effect.gen(function* () {
      const { registry } = yield* toldRegistry([up, down])
      const { json } = yield* openAdminOn(registry)
      assert.deepInclude(yield* json<Readiness>("/health/ready"), { ready: true, policy: "some" })
      assert.deepStrictEqual(yield* json("/health/live"), { alive: true })
    }),
  )
})
