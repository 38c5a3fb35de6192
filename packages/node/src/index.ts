/**
 * A transport for `@effect-jwks/core` on Node, snapshots in files, and the registry with everything that it needs.
 */
export * as FilePersistence from "./FilePersistence.ts"
export * as NodeJwks from "./NodeJwks.ts"
export * as NodeJwksHttp from "./NodeJwksHttp.ts"
export type { FilePersistenceOptions } from "./FilePersistence.ts"
export type { NodeJwksOptions } from "./NodeJwks.ts"
export type { ClientCertificate, NodeJwksHttpOptions, ProxyOptions, TlsOptions } from "./TransportOptions.ts"
