/**
 * For the operators of `@effect-jwks/core`: see `JwksAdmin`.
 */
export * as JwksAdmin from "./JwksAdmin.ts"
export type { JwksAdminClientOptions } from "./JwksAdmin.ts"
export type { JwksAdminOptions, OpenGroup, ProviderName, ReadinessPolicy } from "./AdminOptions.ts"
export * from "./JwksAdminApi.ts"
export * from "./AdminErrors.ts"
export * from "./HealthModel.ts"
export * from "./ProviderModel.ts"
export * from "./TimelineModel.ts"
