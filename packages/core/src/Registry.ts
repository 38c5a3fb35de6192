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
import { type CacheEnvironment, ProviderCache } from "./cache/ProviderCache.ts"
import { RefreshScheduler } from "./cache/RefreshScheduler.ts"
import type { Superseded } from "./cache/Resolving.ts"
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
import type { JwksRegistryService } from "./JwksRegistryService.ts"
import type { JwksMetrics, ProviderMetrics } from "./metrics/JwksMetrics.ts"
import { noneHasIt } from "./NoneHasIt.ts"
import { makeSeal } from "./persistence/SnapshotSeal.ts"
import type { SnapshotOwner } from "./persistence/SnapshotId.ts"
import { openStore } from "./persistence/SnapshotStore.ts"
import { type JwksRegistryOptions, type Provider, sourceUrl } from "./Provider.ts"
import {
  type ResolvedOptions,
  resolveOptions,
  resolveRegistration,
  transportIdentity,
  urlPolicyOf,
} from "./registration/Registration.ts"
import type { RegisteredProvider, ResolvedKey, ResolveKeyOptions, WarmUpResult } from "./Resolved.ts"
import { inResolveSpan, isTraced, TraceHits } from "./Tracing.ts"

/** One provider's place in the registry, over all its generations. */
class Entry {
  cache: ProviderCache
  metrics: ProviderMetrics | undefined

  constructor(cache: ProviderCache) {
    this.cache = cache
  }
}

/** A tenant's providers in order of registration. */
interface Tenant {
  readonly entries: Map<string, Entry>
  /** What is registered, as those who ask are answered. */
  registered: Exit.Exit<ReadonlyArray<RegisteredProvider>>
}

/** Makes a registry that lives as long as the scope, with the providers of its options registered. */
export const makeRegistry = Effect.fnUntraced(function* (
  given: JwksRegistryOptions,
  client: HttpClient.HttpClient,
  persistence: Persistence.Persistence["Service"],
  metrics: JwksMetrics["Service"],
): Effect.fn.Return<JwksRegistryService & AnswersNow, InvalidRegistration, Scope.Scope> {
  const options = yield* Effect.fromResult(resolveOptions(given, yield* TransportGuards))
  const events = yield* EventFeed.make(options.eventBuffer)
  const context = yield* Effect.context<never>()
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const scheduler = new RefreshScheduler()
  const clock = yield* Clock.Clock
  const now = () => Instant.now(clock)
  const seal = yield* makeSeal(options.snapshots)
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
    idleAfter: options.idleAfter,
  }
  const registry = new Registry(options, environment, metrics, events, context)
  const closeSeries = metrics.openRegistry(() => ({ ...snapshots.reading(), eventsDropped: events.dropped }))
  // Added last, so it runs first: waiters are told before their flights are interrupted.
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      Effect.sync(() => registry.close()),
      Effect.flatMap(snapshots.close, (left) =>
        left === 0 ? Effect.void : Effect.logWarning(`${left} JWKS snapshots are left unwritten`),
      ),
    ).pipe(Effect.andThen(events.shutdown), Effect.ensuring(Effect.sync(closeSeries))),
  )
  fork(scheduler.run)
  if (!seal.outlivesProcess) {
    yield* Effect.logInfo("JWKS snapshots will not outlive this process: they do with the option snapshotKey")
  }

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
  return registry.service
})

class Registry {
  readonly #options: ResolvedOptions
  readonly #environment: CacheEnvironment
  readonly #metrics: JwksMetrics["Service"]
  readonly #events: EventFeed
  readonly #context: Context.Context<never>
  readonly #clock: Clock.Clock
  readonly #tenants = new Map<string, Tenant>()
  /** Tenants with a single provider, for the hit path: the whole look-up of a hit is this map and its kids. */
  readonly #slots = new Map<string, HitSlot>()
  #isClosed = false

  constructor(
    options: ResolvedOptions,
    environment: CacheEnvironment,
    metrics: JwksMetrics["Service"],
    events: EventFeed,
    context: Context.Context<never>,
  ) {
    this.#options = options
    this.#environment = environment
    this.#metrics = metrics
    this.#events = events
    this.#context = context
    this.#clock = environment.clock
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
          const providers = Array.from(this.#tenants.get(tenant)?.entries.keys() ?? [])
          for (const provider of providers) this.#unregister(tenant, provider)
          return providers.length
        }),
      [answersNow]: { resolveKey: answer, registrations },
      resolveKey: (tenant, kid, options) => Effect.withFiber((fiber) => answer(tenant, kid, options, fiber)),
      registrations: (tenant) => Effect.suspend(() => registrations(tenant)),
      resolve: (tenant, provider) => this.#ask(tenant, provider, (cache, again) => cache.resolving.resolve(again)),
      refresh: (tenant, provider) => this.#ask(tenant, provider, (cache) => cache.resolving.refresh),
      warmUp: ({ timeout }) =>
        Effect.suspend(() =>
          Effect.forEach(
            this.#entries().map(({ cache }) => cache.provider),
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
          const entry = this.#tenants.get(tenant)?.entries.get(provider)
          return entry === undefined
            ? Effect.fail(notRegistered(tenant, provider))
            : Effect.succeed(entry.cache.status())
        }),
      allStatuses: Effect.sync(() => this.#entries().map(({ cache }) => cache.status())),
      events: this.#events.stream,
      persistAll: Effect.suspend(() =>
        this.#environment.snapshots.persistAll(() =>
          this.#entries().map(({ cache }) => ({ subject: cache.snapshotSubject, held: cache.held })),
        ),
      ),
      restoreFromPersistence: Effect.suspend(() =>
        this.#environment.snapshots.restoreAll(this.#entries().map(({ cache }) => cache.restoreTarget)),
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
    const resolved = resolveRegistration(registration, this.#options, (tenant) =>
      Array.from(this.#tenants.get(tenant)?.entries.values() ?? [], ({ cache }) => cache.provider),
    )
    if (Result.isFailure(resolved)) return Result.fail(resolved.failure)
    const provider = resolved.success
    const tenant: Tenant = this.#tenants.get(provider.tenant) ?? { entries: new Map(), registered: Exit.succeed([]) }
    this.#tenants.set(provider.tenant, tenant)

    const before = tenant.entries.get(provider.provider)
    if (before !== undefined && !again) {
      return Result.fail(
        new InvalidRegistration({
          issues: [{ field: "provider", rule: "is listed twice for this tenant: list it once" }],
        }),
      )
    }
    const last = before?.cache
    const cache = new ProviderCache(
      this.#environment,
      provider,
      urlPolicyOf(provider, this.#options),
      (event, at) => this.#observe(entry, event, at),
      last && adopt(last.handover, last.provider, provider, Instant.now(this.#clock)),
    )
    const entry = before ?? new Entry(cache)
    entry.cache = cache
    entry.metrics ??= this.#metrics.open(
      this.#options.metricLabels === "none" ? {} : { tenant: provider.tenant, provider: provider.provider },
      () => entry.cache.reading(),
    )
    tenant.entries.set(provider.provider, entry)
    this.#show(provider.tenant, tenant)
    if (last !== undefined && isOfNoMoreUse(last, provider)) {
      this.#environment.snapshots.forget(last.snapshotSubject)
    }
    last?.supersede()
    cache.observe({
      _tag: "ProviderRegistered",
      url: displayUrl(sourceUrl(provider.source)),
      replaced: before !== undefined,
    })
    cache.start()
    return Result.succeed(undefined)
  }

  #unregister(tenant: string, provider: string): boolean {
    const found = this.#tenants.get(tenant)
    const entry = found?.entries.get(provider)
    if (found === undefined || entry === undefined) return false
    found.entries.delete(provider)
    if (found.entries.size === 0) this.#tenants.delete(tenant)
    this.#show(tenant, found)
    entry.cache.supersede()
    entry.cache.observe({ _tag: "ProviderUnregistered" })
    this.#environment.snapshots.forget(entry.cache.snapshotSubject)
    entry.metrics?.close()
    return true
  }

  /** Keeps the hit path, and what is told of the tenant, in line with its providers. */
  #show(tenant: string, shown: Tenant): void {
    const [first, second] = shown.entries.values()
    shown.registered = Exit.succeed(
      Object.freeze(Array.from(shown.entries.values(), ({ cache }) => registeredOf(cache.provider))),
    )
    if (first !== undefined && second === undefined) this.#slots.set(tenant, first.cache.slot)
    else this.#slots.delete(tenant)
  }

  /** Ends every flight with a typed error for its waiters. */
  close(): void {
    this.#isClosed = true
    // A permit that one provider gives back must start nothing at the next.
    this.#environment.permits.close()
    for (const { cache, metrics } of this.#entries()) {
      cache.close()
      metrics?.close()
    }
  }

  #entries(): ReadonlyArray<Entry> {
    return Array.from(this.#tenants.values()).flatMap(({ entries }) => Array.from(entries.values()))
  }

  /** What happened goes to the metrics, the log and the stream; the first two never drop. */
  #observe(entry: Entry, body: JwksEventBody, at: Instant.Instant): void {
    if (body._tag === "RefreshSucceeded" || body._tag === "RefreshFailed") {
      entry.metrics?.flightEnded(body.durationMillis / 1_000)
      if (body._tag === "RefreshFailed") entry.metrics?.failedFor(body.reason._tag)
    }
    this.publish(entry.cache.provider, body, at)
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
      return this.#slots.get(tenant)?.hit(this.#clock.currentTimeMillisUnsafe(), kid)
    }
    const { alg, allowStale, notThumbprint, provider } = options
    const slot =
      provider === undefined ? this.#slots.get(tenant) : this.#tenants.get(tenant)?.entries.get(provider)?.cache.slot
    if (slot === undefined || notThumbprint !== undefined || (slot.stale && allowStale === false)) return undefined
    const now = this.#clock.currentTimeMillisUnsafe()
    return alg === undefined ? slot.hit(now, kid) : slot.hitFor(now, kid, alg)
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
    return this.#resolveAmong(tenant, Array.from(found.entries.values()), kid, options)
  }

  /** Rule 12: a tenant with several providers. */
  #resolveAmong(
    tenant: string,
    entries: ReadonlyArray<Entry>,
    kid: string | undefined,
    options: ResolveKeyOptions | undefined,
  ): Effect.Effect<ResolvedKey, ResolveError> {
    const known = entries.flatMap(({ cache }) => {
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
      return first.answer.exit
    }
    // The first key ends it; only when every provider has refused is there an error to tell.
    return Effect.forEach(
      entries,
      ({ cache: { provider } }) =>
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
      const entry = this.#tenants.get(tenant)?.entries.get(provider)
      if (entry === undefined) return Effect.fail(notRegistered(tenant, provider))
      return Effect.catch(question(entry.cache, again), (error): Effect.Effect<A, E | NotRegistered> =>
        error._tag === "Superseded" ? this.#ask(tenant, provider, question, true) : Effect.fail(error),
      )
    })
  }
}

/**
 * Whether what was stored for a provider must not be: fetched from elsewhere, or otherwise, it must not come
 * back with a third registration.
 */
const isOfNoMoreUse = ({ held, provider: before }: ProviderCache, next: Provider): boolean =>
  transportIdentity(before) !== transportIdentity(next) || (held !== undefined && !mayBeKept(held, next.settings))

const registeredOf = ({ issuer, provider, settings, tenant }: Provider): RegisteredProvider =>
  Object.freeze({
    tenant,
    provider,
    ...(issuer === undefined ? {} : { issuer }),
    algorithms: Object.freeze(Array.from(settings.algorithms)),
  })

/** Callers without types may ask for anything. */
const notRegistered = (tenant: unknown, provider?: unknown): NotRegistered =>
  new NotRegistered({ tenant: asText(tenant), ...(provider === undefined ? {} : { provider: asText(provider) }) })

const asText = (id: unknown): string => (typeof id === "string" ? id : `(${typeof id})`)
