/**
 * Whether the process is ready, by its policy. Pure.
 */
import type { ProviderStatus } from "@effect-jwks/core"
import type { ProviderName, ReadinessPolicy } from "../AdminOptions.ts"
import type { Readiness } from "../HealthModel.ts"

/** Missing providers that are named at most. */
const named = 20

const keyOf = ({ provider, tenant }: ProviderName): string => JSON.stringify([tenant, provider])

/** Whether the policy holds for these providers, and who is missing. */
export const readinessOf = (policy: ReadinessPolicy, statuses: ReadonlyArray<ProviderStatus>): Readiness => {
  const usable = new Set(statuses.filter((status) => status.usable).map(keyOf))
  // A critical provider that nobody has registered can not answer either.
  const considered = typeof policy === "string" ? statuses : policy.critical
  const missing = considered.filter((provider) => !usable.has(keyOf(provider)))
  const count = considered.length - missing.length
  return {
    ready: policy === "some" ? count > 0 : missing.length === 0,
    policy: typeof policy === "string" ? policy : "critical",
    usable: count,
    total: considered.length,
    missing: missing.slice(0, named).map(({ provider, tenant }) => ({ tenant, provider })),
  }
}
