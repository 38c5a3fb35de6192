/**
 * The registry behind the service: which providers there are, the hit path across them, and the house
 * around each provider's cache (permits, timers, metrics, logs, events).
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as Persistence from "effect/persistence/Persistence"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { type AnswersNow, answersNow } from "./AnswersNow.ts"
import { FetchPermits } from "./cache/FetchPermits.ts"
import { adopt, mayBeKept } from "./cache/Handover.ts"
import type { HitSlot } from "./cache/HitSlot.ts"
import { type CacheEnvironment, ProviderCache, snapshotSubjectOf } from "./cache/ProviderCache.ts"
import { ProviderMemory } from "./cache/ProviderMemory.ts"
import { RefreshScheduler } from "./cache/RefreshScheduler.ts"
import type { Superseded } from "./cache/Resolving.ts"
import { contentsOf, type Directory, type Place, type SharedMemory, type Tenant } from "./cache/SharedMemory.ts"
import { Snapshots } from "./cache/Snapshots.ts"
import { TransportGuards } from "./http/Transport.ts"
import { EventFeed } from "./EventFeed.ts"
import * as Instant from "./Instant.ts"
import {
  describeReason,
  displayUrl,
  InvalidRegistration,
  KeyAmbiguous,
  NotRegistered,
  type ResolveError,
} from "./JwksError.ts"
import type { JwksEvent, JwksEventBody } from "./JwksEvent.ts"
import { logLine } from "./JwksLog.ts"
import { JwksMemory } from "./JwksMemory.ts"
import type { JwksRegistryService } from "./JwksRegistryService.ts"
import type { JwksMetrics, ProviderMetrics } from "./metrics/JwksMetrics.ts"
import { noneHasIt } from "./NoneHasIt.ts"
import { makeSeal } from "./persistence/SnapshotSeal.ts"
import type { SnapshotOwner } from "./persistence/SnapshotId.ts"
import { openStore } from "./persistence/SnapshotStore.ts"
import { type JwksRegistryOptions, type Provider, sourceUrl } from "./Provider.ts"
import {
  checkNeighbours,
  registrationIdentity,
  type ResolvedOptions,
  resolveOptions,
  resolveRegistration,
  transportIdentity,
  urlPolicyOf,
} from "./registration/Registration.ts"
import type { RegisteredProvider, ResolvedKey, ResolveKeyOptions, WarmUpResult } from "./Resolved.ts"
import type { UrlPolicy } from "./security/UrlPolicy.ts"
import { inResolveSpan, isTraced, TraceHits } from "./Tracing.ts"

/** What this registry has for a provider, over all its generations. */
interface Live {
  cache: ProviderCache
  metrics: ProviderMetrics | undefined
}

/** Makes a registry that lives as long as the scope, with the providers of its options registered. */
export const makeRegistry = Effect.fnUntraced(function* (
  given: JwksRegistryOptions,
  client: HttpClient.HttpClient,
  persistence: Persistence.Persistence["Service"],
  metrics: JwksMetrics["Service"],
): Effect.fn.Return<JwksRegistryService & AnswersNow, InvalidRegistration, Scope.Scope> {
  const guards = yield* TransportGuards
  const shared = given?.memory instanceof JwksMemory ? contentsOf(given.memory) : undefined
  const prepared = shared?.prepared(given, guards.pins)
  const options = prepared?.options ?? (yield* Effect.fromResult(resolveOptions(given, guards)))
  const events = new EventFeed(options.eventBuffer)
  const context = yield* Effect.context<never>()
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  // Most requests of an edge platform have nothing to wait for.
  const scheduler = new RefreshScheduler(() => fork(scheduler.run))
  const clock = yield* Clock.Clock
  const now = () => Instant.now(clock)
  const seal = prepared?.seal ?? (yield* makeSeal(options.snapshots))
  const store = yield* openStore(persistence, options.snapshots.namespace, now)
  const random = yield* Random.Random
  const snapshots = new Snapshots(store, seal, now, random, fork, (owner, event) =>
    registry.publish(owner, event, now()),
  )
  const environment: CacheEnvironment = {
    client: HttpClient.mapRequest(client, HttpClientRequest.setHeader("user-agent", options.userAgent)),
    clock,
    scheduler,
    snapshots,
    permits: new FetchPermits(options.maxConcurrentFetches),
    context,
    fork,
    idleAfter: shared === undefined ? options.idleAfter : Number.POSITIVE_INFINITY,
    isForOneRequest: shared !== undefined,
  }
  const directory = prepared?.generation === shared?.generation ? prepared?.directory : undefined
  const registry = new Registry(options, environment, metrics, events, context, shared, directory)
  const closeSeries = metrics.openRegistry(() => ({ ...snapshots.reading(), eventsDropped: events.dropped }))
  // Added last, so it runs first: waiters are told before their flights are interrupted.
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      registry.closing,
      Effect.sync(() => registry.close()),
    ).pipe(
      Effect.andThen(
        Effect.flatMap(snapshots.close, (left) =>
          left === 0 ? Effect.void : Effect.logWarning(`${left} JWKS snapshots are left unwritten`),
        ),
      ),
      Effect.andThen(events.shutdown),
      Effect.ensuring(Effect.sync(closeSeries)),
    ),
  )
  if (!seal.outlivesProcess && prepared === undefined) {
    yield* Effect.logInfo("JWKS snapshots will not outlive this process: they do with the option snapshotKey")
  }

  if (directory !== undefined) return registry.service
  const refused = options.providers.flatMap((registration, index) => {
    const registered = registry.register(registration, false)
    return Result.isSuccess(registered)
      ? []
      : registered.failure.issues.map(({ field, rule }) => ({
          field: field === "" ? `providers[${index}]` : `providers[${index}].${field}`,
          rule,
        }))
  })
  if (refused.length > 0) return yield* new InvalidRegistration({ issues: refused })
  shared?.prepare(given, { options, seal, directory: registry.lend(), generation: shared.generation })
  return registry.service
})

class Registry {
  readonly #options: ResolvedOptions
  readonly #environment: CacheEnvironment
  readonly #metrics: JwksMetrics["Service"]
  readonly #events: EventFeed
  readonly #context: Context.Context<never>
  readonly #clock: Clock.Clock
  #tenants: Directory["tenants"]
  #slots: Directory["slots"]
  /** The directory is somebody else's too: it is copied before it is changed. */
  #isLent: boolean
  readonly #shared: SharedMemory | undefined
  readonly #live = new Map<Place, Live>()
  #isClosed = false

  constructor(
    options: ResolvedOptions,
    environment: CacheEnvironment,
    metrics: JwksMetrics["Service"],
    events: EventFeed,
    context: Context.Context<never>,
    shared: SharedMemory | undefined,
    directory: Directory | undefined,
  ) {
    this.#options = options
    this.#environment = environment
    this.#metrics = metrics
    this.#events = events
    this.#context = context
    this.#clock = environment.clock
    this.#shared = shared
    this.#tenants = directory?.tenants ?? new Map<string, Tenant>()
    this.#slots = directory?.slots ?? new Map<string, HitSlot>()
    this.#isLent = directory !== undefined
  }

  /** The directory, for others to read. */
  lend(): Directory {
    this.#isLent = true
    return { tenants: this.#tenants, slots: this.#slots }
  }

  #ownDirectory(): void {
    if (!this.#isLent) return
    this.#isLent = false
    this.#tenants = new Map(
      Array.from(this.#tenants, ([name, tenant]) => [name, { ...tenant, entries: new Map(tenant.entries) }]),
    )
    this.#slots = new Map(this.#slots)
  }

  get service(): JwksRegistryService & AnswersNow {
    const answer: AnswersNow[typeof answersNow]["resolveKey"] = (tenant, kid, options, fiber) => {
      const hit = this.#hit(tenant, kid, options)
      const answered = hit ?? this.#resolveKey(tenant, kid, options)
      if (fiber === undefined || !isTraced(fiber)) return answered
      const isHit = hit !== undefined
      return isHit && !fiber.getRef(TraceHits) ? hit : inResolveSpan(answered, tenant, kid, options, isHit)
    }
    const registrations = (tenant: string) =>
      this.#tenants.get(tenant)?.registered ?? Effect.fail(notRegistered(tenant))
    return {
      register: (registration) => Effect.suspend(() => Effect.fromResult(this.register(registration, true))),
      unregister: (tenant, provider) => Effect.sync(() => this.#unregister(tenant, provider)),
      unregisterTenant: (tenant) =>
        Effect.sync(() => {
          const providers = new Set([
            ...(this.#tenants.get(tenant)?.entries.keys() ?? []),
            ...(this.#shared?.providersOf(tenant) ?? []),
          ])
          for (const provider of providers) this.#unregister(tenant, provider)
          return providers.size
        }),
      [answersNow]: { resolveKey: answer, registrations },
      resolveKey: (tenant, kid, options) => Effect.withFiber((fiber) => answer(tenant, kid, options, fiber)),
      registrations: (tenant) => Effect.suspend(() => registrations(tenant)),
      resolve: (tenant, provider) => this.#ask(tenant, provider, (cache, again) => cache.resolving.resolve(again)),
      refresh: (tenant, provider) => this.#ask(tenant, provider, (cache) => cache.resolving.refresh),
      warmUp: ({ timeout }) =>
        Effect.suspend(() =>
          Effect.forEach(
            this.#places().map(({ provider }) => provider),
            ({ provider, tenant }) =>
              this.#ask(tenant, provider, (cache) => cache.resolving.warmUp).pipe(
                Effect.match({
                  onSuccess: (reason) => ({
                    outcome: reason === undefined ? ("usable" as const) : ("failed" as const),
                    ...(reason === undefined ? {} : { reason: describeReason(reason) }),
                  }),
                  onFailure: (error) => ({ outcome: "failed" as const, reason: error.message }),
                }),
                Effect.timeoutOrElse({
                  duration: timeout,
                  orElse: () => Effect.succeed({ outcome: "timedOut" as const }),
                }),
                Effect.map((result): WarmUpResult => ({ tenant, provider, ...result })),
              ),
            { concurrency: "unbounded" },
          ),
        ),
      providerStatus: (tenant, provider) =>
        Effect.suspend(() => {
          const place = this.#tenants.get(tenant)?.entries.get(provider)
          return place === undefined
            ? Effect.fail(notRegistered(tenant, provider))
            : Effect.succeed(this.#cacheOf(place).status())
        }),
      allStatuses: Effect.sync(() => this.#caches().map((cache) => cache.status())),
      events: this.#events.stream,
      persistAll: Effect.suspend(() =>
        this.#environment.snapshots.persistAll(() =>
          this.#caches().map((cache) => ({ subject: cache.snapshotSubject, held: cache.held })),
        ),
      ),
      restoreFromPersistence: Effect.suspend(() =>
        this.#environment.snapshots.restoreAll(this.#caches().map((cache) => cache.restoreTarget)),
      ),
    }
  }

  // ---------------------------------------------------------------------------
  // Registration
  // ---------------------------------------------------------------------------

  /** One synchronous step; starts at most a background flight. `again`: it may replace one of the same name. */
  register(registration: unknown, again: boolean): Result.Result<void, InvalidRegistration> {
    if (this.#isClosed) {
      return Result.fail(
        new InvalidRegistration({ issues: [{ field: "registry", rule: "is closed: register with a new one" }] }),
      )
    }
    const resolved = this.#check(registration)
    if (Result.isFailure(resolved)) return Result.fail(resolved.failure)
    const provider = resolved.success
    const registered = this.#tenants.get(provider.tenant)?.entries.get(provider.provider)
    if (registered !== undefined && !again) {
      return Result.fail(
        new InvalidRegistration({
          issues: [{ field: "provider", rule: "is listed twice for this tenant: list it once" }],
        }),
      )
    }
    const policy = urlPolicyOf(provider, this.#options)
    const before = this.#shared?.placeOf(provider.tenant, provider.provider) ?? registered
    const isKnown = this.#shared !== undefined && before !== undefined && isSame(before, provider, policy)
    const place = isKnown ? before : this.#take(provider, policy, before)
    if (place !== registered) this.#seat(place, registered, before)
    return Result.succeed(undefined)
  }

  /** What a registration means. Between requests it is the object that is known: what passed once need not again. */
  #check(registration: unknown): Result.Result<Provider, InvalidRegistration> {
    const providersOf = (tenant: string) =>
      Array.from(this.#tenants.get(tenant)?.entries.values() ?? [], ({ provider }) => provider)
    const known = this.#shared?.checked(registration, this.#options)
    if (known !== undefined) return Result.map(checkNeighbours(known, this.#options, providersOf), () => known)
    const resolved = resolveRegistration(registration, this.#options, providersOf)
    if (Result.isSuccess(resolved)) this.#shared?.check(registration, this.#options, resolved.success)
    return resolved
  }

  /** A place for a provider that nobody knows as it is registered now. */
  #take(provider: Provider, policy: UrlPolicy, before: Place | undefined): Place {
    const now = Instant.now(this.#clock)
    const left = before && adopt(before.memory.handover, before.provider, provider, now)
    // Between requests the rules of the registry may differ, too: what other rules let in is fetched anew.
    const mayStay = this.#shared === undefined || isUnderSameRules(before, policy)
    const memory = new ProviderMemory(provider.settings.kidRefresh, now, mayStay ? left : undefined)
    const place = { provider, policy, memory }
    this.#shared?.put(place)
    return place
  }

  /** Puts a place where this registry finds it, in the place of `registered` and of what other requests had `before`. */
  #seat(place: Place, registered: Place | undefined, before: Place | undefined): void {
    const { provider } = place
    this.#ownDirectory()
    const tenant: Tenant = this.#tenants.get(provider.tenant) ?? { entries: new Map(), registered: Exit.succeed([]) }
    this.#tenants.set(provider.tenant, tenant)
    tenant.entries.set(provider.provider, place)
    this.#show(provider.tenant)
    const live = registered && this.#live.get(registered)
    const last = live?.cache
    if (registered !== undefined) this.#live.delete(registered)
    const cache = this.#shared === undefined || live !== undefined ? this.#open(place, live) : undefined
    if (before !== undefined && before !== place && isOfNoMoreUse(before, provider)) {
      this.#environment.snapshots.forget(snapshotSubjectOf(before.provider, before.policy))
    }
    last?.supersede()
    if (before === place) return
    this.#observe(
      place,
      {
        _tag: "ProviderRegistered",
        url: displayUrl(sourceUrl(provider.source)),
        replaced: before !== undefined,
      },
      Instant.now(this.#clock),
    )
    cache?.start()
  }

  /** What this registry has for a provider; a request has it for those alone that it uses. */
  #cacheOf(place: Place): ProviderCache {
    const live = this.#live.get(place)
    if (live !== undefined) return live.cache
    const cache = this.#open(place, undefined)
    if (this.#isClosed) cache.close()
    else cache.start()
    return cache
  }

  #open(place: Place, before: Live | undefined): ProviderCache {
    const { memory, policy, provider } = place
    const cache = new ProviderCache(
      this.#environment,
      provider,
      policy,
      (event, at) => this.#observe(place, event, at),
      memory,
    )
    const live: Live = before ?? { cache, metrics: undefined }
    live.cache = cache
    this.#live.set(place, live)
    if (this.#shared !== undefined) live.metrics?.close()
    if (this.#shared !== undefined || live.metrics === undefined) live.metrics = this.#openMetrics(place, live)
    return cache
  }

  /** Series that requests share are read once, by whatever they share. */
  #openMetrics({ memory, provider }: Place, live: Live): ProviderMetrics {
    const clock = this.#clock
    const read =
      this.#shared === undefined
        ? () => live.cache.reading()
        : (memory.read ??= () => memory.reading(Instant.now(clock)))
    return this.#metrics.open(
      this.#options.metricLabels === "none" ? {} : { tenant: provider.tenant, provider: provider.provider },
      read,
    )
  }

  #unregister(tenant: string, provider: string): boolean {
    const registered = this.#tenants.get(tenant)?.entries.get(provider)
    const place = registered ?? this.#shared?.placeOf(tenant, provider)
    if (place === undefined) return false
    this.#shared?.remove(tenant, provider)
    const live = this.#live.get(place)
    if (registered !== undefined) {
      this.#ownDirectory()
      const found = this.#tenants.get(tenant)
      found?.entries.delete(provider)
      if (found?.entries.size === 0) this.#tenants.delete(tenant)
      this.#show(tenant)
      this.#live.delete(place)
      live?.cache.supersede()
    }
    this.#observe(place, { _tag: "ProviderUnregistered" }, Instant.now(this.#clock))
    this.#environment.snapshots.forget(snapshotSubjectOf(place.provider, place.policy))
    live?.metrics?.close()
    return true
  }

  /** Keeps the hit path, and what is told of the tenant, in line with its providers. */
  #show(tenant: string): void {
    const shown = this.#tenants.get(tenant)
    const places = Array.from(shown?.entries.values() ?? [])
    if (shown !== undefined) {
      shown.registered = Exit.succeed(Object.freeze(places.map(({ provider }) => registeredOf(provider))))
    }
    const [first, second] = places
    if (first !== undefined && second === undefined) this.#slots.set(tenant, first.memory.slot)
    else this.#slots.delete(tenant)
  }

  /** A request's own flights may end: what they bring is for the next one. */
  get closing(): Effect.Effect<void> {
    if (this.#shared === undefined) return Effect.void
    return Effect.suspend(() => Effect.forEach(this.#live.values(), ({ cache }) => cache.closing, concurrently))
  }

  /** Ends every flight with a typed error for its waiters. */
  close(): void {
    this.#isClosed = true
    // A permit that one provider gives back must start nothing at the next.
    this.#environment.permits.close()
    for (const { cache, metrics } of this.#live.values()) {
      cache.close()
      metrics?.close()
    }
  }

  #places(): ReadonlyArray<Place> {
    return Array.from(this.#tenants.values()).flatMap(({ entries }) => Array.from(entries.values()))
  }

  #caches(): ReadonlyArray<ProviderCache> {
    return this.#places().map((place) => this.#cacheOf(place))
  }

  /** What happened goes to the metrics, the log and the stream; the first two never drop. */
  #observe(place: Place, body: JwksEventBody, at: Instant.Instant): void {
    if (body._tag === "RefreshSucceeded" || body._tag === "RefreshFailed") {
      const metrics = this.#live.get(place)?.metrics
      metrics?.flightEnded(body.durationMillis / 1_000)
      if (body._tag === "RefreshFailed") metrics?.failedFor(body.reason._tag)
    }
    this.publish(place.provider, body, at)
  }

  /** Tells the log and the stream what happened to a provider. */
  publish({ provider, tenant }: SnapshotOwner, body: JwksEventBody, at: Instant.Instant): void {
    const event: JwksEvent = { ...body, tenant, provider, time: at.wall }
    const line = logLine(event)
    if (line !== undefined) {
      Effect.runForkWith(this.#context)(
        Effect.logWithLevel(line.level)(line.message).pipe(
          Effect.annotateLogs({ tenant, provider, event: event._tag }),
        ),
      )
    }
    this.#events.publish(event)
  }

  // ---------------------------------------------------------------------------
  // Resolving
  // ---------------------------------------------------------------------------

  /** Rules 1 and 3: the prebuilt answer, counted; `undefined` where a cache has to decide. */
  #hit(
    tenant: string,
    kid: string | undefined,
    options: ResolveKeyOptions | undefined,
  ): Exit.Exit<ResolvedKey> | undefined {
    if (options === undefined || options === null) {
      const slot = this.#slots.get(tenant)
      return slot !== undefined && this.#mayAnswer(slot)
        ? slot.hit(this.#clock.currentTimeMillisUnsafe(), kid)
        : undefined
    }
    const { alg, allowStale, notThumbprint, provider } = options
    const slot =
      provider === undefined ? this.#slots.get(tenant) : this.#tenants.get(tenant)?.entries.get(provider)?.memory.slot
    if (slot === undefined || notThumbprint !== undefined || (slot.stale && allowStale === false)) return undefined
    if (!this.#mayAnswer(slot)) return undefined
    const now = this.#clock.currentTimeMillisUnsafe()
    return alg === undefined ? slot.hit(now, kid) : slot.hitFor(now, kid, alg)
  }

  /** What is shared stays open when this registry closes, and no timer closes it when a wall clock was set back (rule 9). */
  #mayAnswer(slot: HitSlot): boolean {
    return this.#shared === undefined || (!this.#isClosed && !slot.isOverBy(Instant.monotonicMillis(this.#clock)))
  }

  #resolveKey(
    tenant: string,
    kid: string | undefined,
    options: ResolveKeyOptions | undefined,
  ): Effect.Effect<ResolvedKey, ResolveError> {
    const found = this.#tenants.get(tenant)
    if (found === undefined) return Effect.fail(notRegistered(tenant))
    const [first, second] = found.entries.keys()
    const provider = options?.provider ?? (second === undefined ? first : undefined)
    if (provider !== undefined) {
      return this.#ask(tenant, provider, (cache, again) => cache.resolving.resolveKey(kid, options, again))
    }
    const caches = Array.from(found.entries.values(), (place) => this.#cacheOf(place))
    return this.#resolveAmong(tenant, caches, kid, options)
  }

  /** Rule 12: a tenant with several providers. */
  #resolveAmong(
    tenant: string,
    caches: ReadonlyArray<ProviderCache>,
    kid: string | undefined,
    options: ResolveKeyOptions | undefined,
  ): Effect.Effect<ResolvedKey, ResolveError> {
    const known = caches.flatMap((cache) => {
      const peeked = cache.resolving.peek(kid, options)
      return peeked === undefined ? [] : [{ cache, peeked }]
    })
    const ambiguous = known.find(({ peeked }) => Result.isFailure(peeked))
    const answers = known.flatMap(({ cache, peeked }) =>
      Result.isSuccess(peeked) ? [{ cache, answer: peeked.success }] : [],
    )
    const thumbprints = Array.from(new Set(answers.map(({ answer }) => answer.key.thumbprint)))
    const [first] = answers
    if (ambiguous !== undefined || thumbprints.length > 1) {
      known[0]?.cache.resolving.countMiss()
      const own =
        ambiguous !== undefined && Result.isFailure(ambiguous.peeked) ? ambiguous.peeked.failure.thumbprints : []
      return Effect.fail(
        new KeyAmbiguous({
          tenant,
          ...(typeof kid === "string" ? { kid } : {}),
          thumbprints: Array.from(new Set([...thumbprints, ...own])),
        }),
      )
    }
    if (first !== undefined) {
      first.cache.slot.count(this.#clock.currentTimeMillisUnsafe(), first.answer.stale)
      if (this.#shared !== undefined) first.cache.used()
      return first.answer.exit
    }
    // The first key ends it; only when every provider has refused is there an error to tell.
    return Effect.forEach(
      caches,
      ({ provider }) =>
        Effect.flip(
          this.#ask(tenant, provider.provider, (cache, again) => cache.resolving.resolveKey(kid, options, again)),
        ),
      { concurrency: "unbounded" },
    ).pipe(
      Effect.flip,
      Effect.mapError((errors) => noneHasIt(tenant, kid, errors)),
    )
  }

  /** Asks the present generation of a provider; one that is superseded meanwhile sends the question to the next. */
  #ask<A, E extends ResolveError>(
    tenant: string,
    provider: string,
    question: (cache: ProviderCache, again: boolean) => Effect.Effect<A, E | Superseded>,
    again = false,
  ): Effect.Effect<A, E | NotRegistered> {
    return Effect.suspend(() => {
      const place = this.#tenants.get(tenant)?.entries.get(provider)
      if (place === undefined) return Effect.fail(notRegistered(tenant, provider))
      return Effect.catch(question(this.#cacheOf(place), again), (error): Effect.Effect<A, E | NotRegistered> =>
        error._tag === "Superseded" ? this.#ask(tenant, provider, question, true) : Effect.fail(error),
      )
    })
  }
}

/**
 * Whether what was stored for a provider must not be: fetched from elsewhere, or otherwise, it must not come
 * back with a third registration.
 */
const isOfNoMoreUse = ({ memory: { held }, provider: before }: Place, next: Provider): boolean =>
  transportIdentity(before) !== transportIdentity(next) || (held !== undefined && !mayBeKept(held, next.settings))

const registeredOf = ({ issuer, provider, settings, tenant }: Provider): RegisteredProvider =>
  Object.freeze({
    tenant,
    provider,
    ...(issuer === undefined ? {} : { issuer }),
    algorithms: Object.freeze(Array.from(settings.algorithms)),
  })

/** Whether a provider is registered just so already. */
const isSame = (place: Place, provider: Provider, policy: UrlPolicy): boolean =>
  place.provider === provider ||
  registrationIdentity(place.provider, place.policy) === registrationIdentity(provider, policy)

const isUnderSameRules = (place: Place | undefined, policy: UrlPolicy): boolean =>
  place !== undefined && JSON.stringify(place.policy) === JSON.stringify(policy)

const concurrently = { concurrency: "unbounded", discard: true } as const

/** Callers without types may ask for anything. */
const notRegistered = (tenant: unknown, provider?: unknown): NotRegistered =>
  new NotRegistered({ tenant: asText(tenant), ...(provider === undefined ? {} : { provider: asText(provider) }) })

const asText = (id: unknown): string => (typeof id === "string" ? id : `(${typeof id})`)
