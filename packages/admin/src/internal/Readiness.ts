/**
 * Whether the process is ready, by its policy.
 */
import type { JwksRegistryService } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import type { ProviderName, ReadinessPolicy } from "../AdminOptions.ts"
import type { Readiness } from "../HealthModel.ts"

/** A provider that the policy looks at. */
interface Considered extends ProviderName {
  readonly usable: boolean
}

/** Missing providers that are named at most. */
const named = 20

const judge = (policy: Readiness["policy"], considered: ReadonlyArray<Considered>): Readiness => {
  const missing = considered.filter(({ usable }) => !usable)
  const usable = considered.length - missing.length
  return {
    ready: policy === "some" ? usable > 0 : missing.length === 0,
    policy,
    usable,
    total: considered.length,
    missing: missing.slice(0, named).map(({ provider, tenant }) => ({ tenant, provider })),
  }
}

/** A critical provider that nobody has registered can not answer either. */
const considerNamed = (registry: JwksRegistryService) => (name: ProviderName) =>
  registry.providerStatus(name.tenant, name.provider).pipe(
    Effect.map(({ usable }): Considered => ({ ...name, usable })),
    Effect.catchTag("NotRegistered", () => Effect.succeed<Considered>({ ...name, usable: false })),
  )

/** Whether the policy holds now, and who is missing. */
export const readinessOf = (registry: JwksRegistryService, policy: ReadinessPolicy): Effect.Effect<Readiness> =>
  typeof policy === "string"
    ? Effect.map(registry.allStatuses, (statuses) => judge(policy, statuses))
    : Effect.map(Effect.forEach(policy.critical, considerNamed(registry)), (considered) =>
        judge("critical", considered),
      )
