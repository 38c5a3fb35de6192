/**
 * Who may import whom, as data. `check_imports.ts` holds the sources to it; this file is the one to edit
 * when a package, a room or a floor is added.
 */

/** Each package under `packages/`, and the ones that it may use. Its tests may use `testing` too. */
export const packages: Readonly<Record<string, ReadonlyArray<string>>> = {
  core: [],
  testing: ["core"],
  node: ["core"],
  redis: ["core"],
  jwt: ["core"],
  admin: ["core"],
  cli: ["admin", "jwt", "redis", "node", "testing", "core"],
  benchmarks: ["cli", "admin", "jwt", "redis", "node", "testing", "core"],
  examples: ["cli", "admin", "jwt", "redis", "node", "testing", "core"],
}

/** The libraries that core's sources may import; `node:` is not among them, since core runs on any runtime. */
export const coreLibraries: ReadonlyArray<string> = ["effect", "http-cache-semantics"]

/**
 * The floor of each file of `packages/core/src`. A key that ends with `/` stands for the files of that
 * folder which have no line of their own.
 *
 * A file imports from lower floors. On its own floor it imports only from its own folder, but F0 is one
 * room: the words that everybody speaks.
 */
export const coreFloors: Readonly<Record<string, number>> = {
  "index.ts": 5,
  "JwksRegistry.ts": 5,
  "Registry.ts": 5,

  "cache/ProviderCache.ts": 4,
  "cache/Resolving.ts": 4,
  "cache/Flight.ts": 4,
  "cache/FlightMark.ts": 4,
  "cache/FlightOutcome.ts": 4,
  "cache/StatusReport.ts": 4,
  "cache/Question.ts": 4,
  "cache/Refusals.ts": 4,
  "cache/Handover.ts": 4,
  "cache/RefreshScheduler.ts": 4,
  "cache/FetchPermits.ts": 4,
  "cache/SnapshotLook.ts": 4,
  "cache/ProviderMemory.ts": 4,
  "cache/SharedMemory.ts": 4,

  "cache/FetchSpan.ts": 3,
  "cache/FlightTrace.ts": 3,
  "cache/Snapshots.ts": 3,
  "cache/HeldSnapshot.ts": 3,
  "cache/LocatedFetch.ts": 3,
  "cache/Revalidation.ts": 3,

  "http/JwksFetch.ts": 2,
  "http/Discovery.ts": 2,
  "persistence/SnapshotSeal.ts": 2,
  "persistence/SnapshotStore.ts": 2,
  "persistence/SnapshotReader.ts": 2,
  "persistence/StoreHealth.ts": 2,
  "persistence/Adrift.ts": 2,
  "persistence/SnapshotWriter.ts": 2,
  "persistence/SnapshotId.ts": 2,
  "persistence/StoreCode.ts": 2,
  "persistence/MachineTime.ts": 2,
  "persistence/ResilientPersistence.ts": 2,
  "fleet/RefreshLease.ts": 2,
  "metrics/JwksMetrics.ts": 2,

  "cache/CacheState.ts": 1,
  "cache/HitSlot.ts": 1,
  "cache/RefreshDelay.ts": 1,
  "cache/RemovedKeys.ts": 1,
  "cache/UnknownKids.ts": 1,
  "http/CacheControl.ts": 1,
  "http/Freshness.ts": 1,
  "http/GuardedGet.ts": 1,
  "http/RetryPolicy.ts": 1,
  "http/TransportFailure.ts": 1,
  "jwk/": 1,
  "persistence/Snapshot.ts": 1,
  "registration/": 1,
  "security/": 1,

  "AnswersNow.ts": 0,
  "Tracing.ts": 0,
  "Instant.ts": 0,
  "JsonObject.ts": 0,
  "JwksError.ts": 0,
  "JwksEvent.ts": 0,
  "JwksMemory.ts": 0,
  "EventFeed.ts": 1,
  "JwksLog.ts": 1,
  "JwksRegistryService.ts": 0,
  "NoneHasIt.ts": 1,
  "Provider.ts": 0,
  "ProviderStatus.ts": 0,
  "Resolved.ts": 0,
  "http/IssuerMetadata.ts": 0,
  "http/Transport.ts": 0,
  "http/Validators.ts": 0,
  "jwk/Jwk.ts": 0,
  "jwk/Jwks.ts": 0,
}

/** Lines of {@link coreFloors} that nobody has built yet. */
export const planned: ReadonlyArray<string> = []

/**
 * Doors between two rooms of one floor, each with its reason. `to` may be a folder. A door that no import
 * goes through has to be closed.
 */
export const doors: ReadonlyArray<{ readonly from: string; readonly to: string; readonly why: string }> = [
  { from: "http/GuardedGet.ts", to: "security/", why: "every hop is judged before it is taken" },
  { from: "registration/", to: "security/", why: "a registration is refused for what its fetch would be refused for" },
]
