/**
 * Redis for `@effect-jwks/core`: where snapshots outlive processes.
 */
export * as RedisPersistence from "./RedisPersistence.ts"
export type { RedisPersistenceOptions, RedisTlsOptions } from "./RedisOptions.ts"
