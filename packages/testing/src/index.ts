/**
 * Identity providers for tests, on a socket or on the test's clock, with faults on demand, and the contract
 * of the stores that keep their sets.
 */
export * as ProviderKeys from "./ProviderKeys.ts"
export * as TestRegistry from "./TestRegistry.ts"
export { ContractBreach } from "./ContractBreach.ts"
export { FakeProvider } from "./FakeProvider.ts"
export type { Connections, FakeProviderOptions, ListeningProvider } from "./FakeProvider.ts"
export { persistenceContract } from "./PersistenceContract.ts"
export type { ContractRule } from "./PersistenceContract.ts"
export { ScriptedProvider } from "./ScriptedProvider.ts"
export type { ScriptedProviderOptions } from "./ScriptedProvider.ts"
export { staticKeys } from "./StaticKeys.ts"
export type { StaticKeysOptions } from "./StaticKeys.ts"
export type { BodyOptions, Endpoint, Fault, FaultOptions, Faults, StatusOptions } from "./Faults.ts"
export type { IdentityProvider, IdentityProviderOptions } from "./IdentityProvider.ts"
export type { Representation } from "./Representation.ts"
export type { RecordedRequest, RequestLog } from "./RequestLog.ts"
export type { ResponseSettings } from "./ResponseSettings.ts"
export type { SigningAlgorithm, SigningKey, SigningKeyOptions } from "./SigningKey.ts"
