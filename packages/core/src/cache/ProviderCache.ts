/**
 * One provider: its state, its single flight and its timer. The only place that commits a state; after
 * a commit it tells what happened through one synchronous `observe`, and touches no metric and no log.
 *
 * **Details**
 *
 * Every step that reads and changes the state is synchronous, so steps cannot interleave: a caller
 * either finds a flight or starts one. A flight runs in a fiber of the layer; whatever becomes of that
 * fiber, its observer ends the flight, so that no waiter outlives it.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as SynchronizedRef from "effect/SynchronizedRef"
import type * as Tracer from "effect/Tracer"
import type { JwksLocation } from "../http/IssuerMetadata.ts"
import type { FetchFailure } from "../http/RetryPolicy.ts"
import * as Instant from "../Instant.ts"
import { displayUrl, isTimeout, type JwksUnavailable, type UnavailableReason } from "../JwksError.ts"
import type { JwksEventBody } from "../JwksEvent.ts"
import { isPending, usableKeys } from "../jwk/JudgedLater.ts"
import type { ProviderReading } from "../metrics/JwksMetrics.ts"
import { snapshotId } from "../persistence/SnapshotId.ts"
import { type Provider, sourceUrl } from "../Provider.ts"
import type { ProviderStatus } from "../ProviderStatus.ts"
import type { Freshness } from "../Resolved.ts"
import type { UrlPolicy } from "../security/UrlPolicy.ts"
import * as CacheState from "./CacheState.ts"
import type { FetchPermits, PermitRequest, Turn } from "./FetchPermits.ts"
import { background, Flight, type FlightEnd, type FlightKind } from "./Flight.ts"
import { answersAlike, changesAfter, eventsAfter, heldAfter, keysChanged, type Success } from "./FlightOutcome.ts"
import type { Counts, Handover } from "./Handover.ts"
import { type Answers, buildAnswers, HitSlot, tickMillis, tickOf } from "./HitSlot.ts"
import { backoff, type BackoffInput, earlyRefresh, type Stepper, stepper } from "./RefreshDelay.ts"
import { type RefreshScheduler, ScheduledItem } from "./RefreshScheduler.ts"
import type { Servable } from "./Question.ts"
import { Refusals } from "./Refusals.ts"
import { removedKeys } from "./RemovedKeys.ts"
import { Resolving, type ResolvingPort, type Superseded } from "./Resolving.ts"
import { type Revalidated, revalidate } from "./Revalidation.ts"
import { locationOf } from "./HeldSnapshot.ts"
import { SnapshotLook } from "./SnapshotLook.ts"
import type { Adoption, RestoreTarget, Snapshots, SnapshotSubject } from "./Snapshots.ts"
import { statusOf } from "./StatusReport.ts"

/** What the providers of one registry share. */
export interface CacheEnvironment {
  readonly client: HttpClient.HttpClient
  readonly clock: Clock.Clock
  readonly scheduler: RefreshScheduler
  readonly permits: FetchPermits
  /** The layer's services; delays are drawn with them. */
  readonly context: Context.Context<never>
  /** Runs a flight in the layer's scope. */
  readonly fork: (flight: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly snapshots: Snapshots
  /** Providers that no resolve has used for so many milliseconds are left to expire. */
  readonly idleAfter: number
}

/** How long the timer waits before it tries again to get a permit. */
const permitPauseMillis = 1_000

export class ProviderCache {
  readonly provider: Provider
  readonly slot = new HitSlot()
  readonly resolving: Resolving
  /** Whose snapshots they are, to those who write them. */
  readonly snapshotSubject: SnapshotSubject
  readonly #environment: CacheEnvironment
  readonly #policy: UrlPolicy
  readonly #observe: (event: JwksEventBody, at: Instant.Instant) => void
  readonly #state: SynchronizedRef.SynchronizedRef<CacheState.CacheState<Flight>>
  readonly #counts: Counts
  readonly #timer = new ScheduledItem(() => this.#onTimer())
  readonly #turn: Turn = { begin: () => this.#onTurn() }
  /** In line for a background flight. */
  #isInLine = false
  /** Completed at the end of the next flight. */
  #nextEnd: Deferred.Deferred<FlightEnd> | undefined
  readonly #earlyRefresh: Stepper<number>
  /** Delays of the present row of failures. */
  #backoff: Stepper<BackoffInput> | undefined
  /** The order of questions and sent requests. */
  #sequence = 0
  /** When the request was sent that last brought or confirmed a set, in that order. */
  #confirmedAt = 0
  /** Prebuilt answers of the held set. */
  #answers: { readonly of: CacheState.HeldSet; fresh?: Answers; stale?: Answers } | undefined
  /** Nobody has asked for the keys of the held set yet, so the slot does not show them. */
  #isSlotLate = false
  /** What the slot shows. */
  #shown: CacheState.Usability = "Unusable"
  #lastAttemptTimedOut: boolean
  /** What the issuer's metadata said last; outlives failed flights, and is no part of the set. */
  #location: JwksLocation | undefined
  readonly #look: SnapshotLook
  /** A restored first set whose keys nobody has been told yet. */
  #untold: CacheState.HeldSet | undefined
  /** Sets that came, from upstream or from a snapshot. */
  #commits = 0
  /** The latest moment of the wall clock at which one of them was fetched. */
  #newestAt: number
  #end: "superseded" | "closed" | undefined

  constructor(
    environment: CacheEnvironment,
    provider: Provider,
    policy: UrlPolicy,
    observe: (event: JwksEventBody, at: Instant.Instant) => void,
    before: Handover | undefined,
  ) {
    this.provider = provider
    this.snapshotSubject = { id: snapshotId(provider), provider, policy }
    this.#environment = environment
    this.#policy = policy
    this.#observe = observe
    this.#earlyRefresh = this.#runSync(stepper(earlyRefresh(provider.settings)))
    this.#counts = before?.counts ?? {
      misses: 0,
      staleMisses: 0,
      unknownKids: 0,
      refreshes: 0,
      notModified: 0,
      refreshErrors: new Map(),
    }
    this.#lastAttemptTimedOut = before?.lastAttemptTimedOut ?? false
    this.#location = before?.location
    this.#newestAt = before?.newestAt ?? Number.NEGATIVE_INFINITY
    this.#state = SynchronizedRef.makeUnsafe<CacheState.CacheState<Flight>>(
      CacheState.initial(before?.held, before?.failure),
    )
    this.slot.hits = before?.hits ?? 0
    this.slot.staleHits = before?.staleHits ?? 0
    this.slot.usedAt = tickOf(this.#now().wall)
    this.resolving = new Resolving(this.#port(), this.#counts, before?.budget)
    this.#look = new SnapshotLook({
      snapshots: environment.snapshots,
      scheduler: environment.scheduler,
      now: () => this.#now(),
      target: () => this.restoreTarget,
      onOver: () => this.#onLooked(),
    })
  }

  /** Tells an event of this provider. */
  observe(event: JwksEventBody): void {
    this.#observe(event, this.#now())
  }

  /** Begins to serve and to refresh; where nothing is held and nothing forbids it, with a first flight. */
  start(): void {
    const state = this.#current
    this.#show(this.#now())
    if (state._tag === "Empty" && this.provider.settings.warm) this.#look.begin()
  }

  /** What the next generation may take over. */
  get handover(): Handover {
    return {
      held: CacheState.heldOf(this.#current),
      location: this.#location,
      newestAt: this.#newestAt,
      failure: this.#current.failure,
      budget: this.resolving.budget,
      lastAttemptTimedOut: this.#lastAttemptTimedOut,
      counts: this.#counts,
      hits: this.slot.hits,
      staleHits: this.slot.staleHits,
    }
  }

  /**
   * Ends this generation: its flight commits nothing, and its waiters ask the registry again. They do so
   * at once, inside this call: the registry must show the next generation by then.
   */
  supersede(): void {
    this.#stop("superseded")
  }

  /** The layer closes: every waiter gets `RegistryClosed`. */
  close(): void {
    this.#stop("closed")
  }

  #stop(end: "superseded" | "closed"): void {
    this.#end = end
    this.#look.end()
    this.#environment.scheduler.cancel(this.#timer)
    this.#environment.permits.leaveLine(this.#turn)
    this.slot.close()
    this.#tellEnd({ _tag: "Superseded" })
    const flight = CacheState.flightOf(this.#current)
    if (flight === undefined) return
    flight.end({ _tag: "Superseded" })
    flight.interrupt()
  }

  // ---------------------------------------------------------------------------
  // What it shows
  // ---------------------------------------------------------------------------

  /** Numbers for the metrics. */
  reading(): ProviderReading {
    const held = CacheState.heldOf(this.#current)
    return {
      hits: this.slot.hits,
      misses: this.#counts.misses,
      stale: this.slot.staleHits + this.#counts.staleMisses,
      refreshes: this.#counts.refreshes,
      notModified: this.#counts.notModified,
      unknownKids: this.#counts.unknownKids,
      keys: held === undefined || this.#usability(this.#now()) === "Unusable" ? 0 : usableKeys(held.jwks),
      expiresAt: held?.expiresAt.wall ?? 0,
      refreshErrors: this.#counts.refreshErrors,
    }
  }

  status(): ProviderStatus {
    const now = this.#now()
    return statusOf(this.provider, this.#url, this.#current, this.#usability(now), this.#isIdle(now), this.reading())
  }

  get #url(): URL {
    return this.#location?.jwksUrl ?? sourceUrl(this.provider.source)
  }

  #port(): ResolvingPort {
    return {
      provider: this.provider,
      slot: this.slot,
      now: () => this.#now(),
      touch: () => this.#touch(),
      tick: () => ++this.#sequence,
      ended: () => this.#ended(),
      confirmedAt: () => this.#confirmedAt,
      usability: (now) => this.#usability(now),
      servable: (now, allowStale) => this.#servable(now, allowStale),
      freshly: (held) => ({ held, answers: this.#answersOf(held, "fresh") }),
      failure: () => this.#current.failure,
      flightUnderWay: () => CacheState.flightOf(this.#current),
      looked: () => this.#looked(),
      join: (kind, span) => this.#join(kind, span),
      backgroundFlight: Effect.suspend(() => {
        // Asked for first: with a client that answers at once, lining up is the whole flight.
        const nextEnd = (this.#nextEnd ??= Deferred.makeUnsafe<FlightEnd>())
        if (CacheState.flightOf(this.#current) === undefined) this.#lineUp()
        return Deferred.await(nextEnd)
      }),
      observe: this.#observe,
    }
  }

  #ended(): Effect.Effect<never, JwksUnavailable | Superseded> | undefined {
    switch (this.#end) {
      case undefined:
        return undefined
      case "superseded":
        return Effect.fail<Superseded>({ _tag: "Superseded" })
      case "closed":
        return Effect.fail(new Refusals(this.provider).closed())
    }
  }

  #servable(now: Instant.Instant, allowStale: boolean): Servable | undefined {
    const held = CacheState.heldOf(this.#current)
    if (held === undefined || this.#end !== undefined) return undefined
    const usability = this.#usability(now)
    const isFirstUse = this.#isSlotLate
    if (isFirstUse) this.#answersOf(held, "fresh")
    // A clock that jumped says so before the timer does; and what is judged now can be a hit from now on.
    if (usability !== this.#shown || isFirstUse) this.#show(now)
    if (usability === "Fresh") return { held, answers: this.#answersOf(held, "fresh") }
    return usability === "Stale" && allowStale ? { held, answers: this.#answersOf(held, "stale") } : undefined
  }

  #answersOf(held: CacheState.HeldSet, freshness: Freshness): Answers {
    if (this.#answers?.of !== held) this.#answers = { of: held }
    const { provider, tenant } = this.provider
    return (this.#answers[freshness] ??= buildAnswers(
      { tenant, provider, freshness, fetchedAt: held.receivedAt.wall, expiresAt: held.expiresAt.wall },
      held.jwks,
    ))
  }

  // ---------------------------------------------------------------------------
  // Time
  // ---------------------------------------------------------------------------

  #now(): Instant.Instant {
    return Instant.now(this.#environment.clock)
  }

  #usability(now: Instant.Instant): CacheState.Usability {
    return CacheState.usability(this.#current, now, CacheState.flightOf(this.#current)?.released ?? false)
  }

  #isIdle(now: Instant.Instant): boolean {
    return (tickOf(now.wall) - this.slot.usedAt) * tickMillis >= this.#environment.idleAfter
  }

  /** Marks the provider as used; one that was idle gets its timers back. */
  #touch(): Instant.Instant {
    const now = this.#now()
    const wasIdle = this.#isIdle(now)
    this.slot.usedAt = tickOf(now.wall)
    if (wasIdle) this.#show(now)
    return now
  }

  #onTimer(): void {
    const now = this.#now()
    const state = this.#current
    const flight = CacheState.flightOf(state)
    if (flight !== undefined && Instant.isOver(Instant.plus(flight.startedAt, CacheState.staleReleaseMillis), now)) {
      flight.release()
    }
    const due = CacheState.nextFlightAt(state)
    if (due !== undefined && Instant.isOver(due, now) && !this.#isIdle(now)) this.#lineUp()
    this.#show(now)
  }

  /** A background flight is wanted: it begins when a permit is free for it, which may be at once. */
  #lineUp(): void {
    if (this.#isInLine) return
    this.#isInLine = true
    this.#environment.permits.lineUp(this.#turn, this.#lastAttemptTimedOut)
  }

  #onTurn(): void {
    this.#isInLine = false
    if (this.#end === undefined && CacheState.flightOf(this.#current) === undefined) this.#begin(background)
  }

  /** Brings slot and timer in line with the state. */
  #show(now: Instant.Instant): void {
    if (this.#end !== undefined) return
    const held = CacheState.heldOf(this.#current)
    const usability = this.#usability(now)
    this.#isSlotLate = held !== undefined && isPending(held.jwks)
    this.#tellRestoredKeys(now)
    if (this.#isSlotLate) {
      // Nobody has asked for its keys yet: the first who does comes by here.
      this.slot.close()
    } else if (held !== undefined && usability === "Fresh") {
      this.slot.open(this.#answersOf(held, "fresh"), held.expiresAt.wall)
    } else if (held !== undefined && usability === "Stale" && !this.#isIdle(now)) {
      this.slot.open(this.#answersOf(held, "stale"), held.staleUntil.wall)
    } else {
      // An idle provider has no timers: its next user must come by here and wake it.
      this.slot.close()
    }
    const before = this.#shown
    this.#shown = usability
    if (usability === "Stale" && before !== "Stale" && held !== undefined) {
      this.#observe({ _tag: "StaleServing", until: held.staleUntil.wall }, now)
    } else if (usability !== "Stale" && before === "Stale") {
      this.#observe({ _tag: "StaleEnded", recovered: usability === "Fresh" }, now)
    }
    this.#arrange(now)
  }

  #arrange(now: Instant.Instant): void {
    const flight = CacheState.flightOf(this.#current)
    const at = CacheState.nextChangeAt(
      this.#current,
      now,
      flight === undefined || flight.released ? undefined : flight.startedAt,
      !this.#isInLine && !this.#isIdle(now),
    )
    if (at === undefined) this.#environment.scheduler.cancel(this.#timer)
    else this.#environment.scheduler.schedule(this.#timer, at.mono)
  }

  #runSync<A>(effect: Effect.Effect<A>): A {
    return Effect.runSyncWith(this.#environment.context)(effect)
  }

  // ---------------------------------------------------------------------------
  // Snapshots
  // ---------------------------------------------------------------------------

  /** The same as {@link snapshotSubject}, to those who read them: takes what is found for a question that is asked now. */
  get restoreTarget(): RestoreTarget {
    const askedAt = this.#commits
    return {
      ...this.snapshotSubject,
      adopt: (held) => this.#adopt(held, askedAt),
      isCurrent: () => this.#end === undefined,
    }
  }

  /** The set that may be written now. */
  get held(): CacheState.HeldSet | undefined {
    return CacheState.heldOf(this.#current)
  }

  /** Nobody waits for a snapshot any more. */
  #onLooked(): void {
    const state = this.#current
    const mayFly = this.#end === undefined && this.provider.settings.warm
    if (mayFly && state._tag === "Empty" && state.failure === undefined) this.#lineUp()
  }

  /** What a question to a provider that holds nothing waits for first. */
  #looked(): Effect.Effect<void> {
    if (CacheState.heldOf(this.#current) === undefined && this.#end === undefined) this.#look.begin()
    return this.#look.waited
  }

  /**
   * Takes a set from a snapshot, unless something newer is or was here: wall clocks alone do not tell, since
   * they may have been set back. So nothing counts that was asked for before the last set came.
   */
  #adopt(restored: CacheState.HeldSet, askedAt: number): Adoption {
    const before = CacheState.heldOf(this.#current)
    const { wall } = restored.receivedAt
    if (this.#end !== undefined || before?.receivedAt.wall === wall) return "Known"
    if (askedAt !== this.#commits || wall <= this.#newestAt) return "Older"
    const now = this.#now()
    const { removedKeyGrace } = this.provider.settings
    const held = { ...restored, removed: removedKeys(before, restored.jwks, removedKeyGrace, now) }
    if (this.provider.source._tag === "Discovered" && this.#location === undefined) {
      this.#location = locationOf(held, now)
    }
    this.resolving.forgetAbsences()
    this.#countCommit(held)
    this.#set(CacheState.restore(this.#current, held))
    this.#observe(
      {
        _tag: "SnapshotRestored",
        keys: usableKeys(held.jwks),
        fetchedAt: wall,
        expiresAt: held.expiresAt.wall,
        staleUntil: held.staleUntil.wall,
      },
      now,
    )
    if (before === undefined) this.#untold = held
    else for (const event of keysChanged(before.jwks, held.jwks)) this.#observe(event, now)
    this.#show(now)
    this.#environment.snapshots.adopted(this.snapshotSubject, held)
    // Whoever waits for the first flight may not have to wait any longer.
    CacheState.flightOf(this.#current)?.signal()
    if (this.#shown !== "Unusable") this.#tellEnd({ _tag: "Refreshed", held, changes: undefined })
    return "Adopted"
  }

  /** Tells the keys of a restored first set, as soon as somebody has looked at them. */
  #tellRestoredKeys(now: Instant.Instant): void {
    const untold = this.#untold
    if (untold === undefined || isPending(untold.jwks)) return
    this.#untold = undefined
    for (const event of keysChanged(undefined, untold.jwks)) this.#observe(event, now)
  }

  #countCommit(held: CacheState.HeldSet): void {
    this.#commits += 1
    this.#newestAt = Math.max(this.#newestAt, held.receivedAt.wall)
  }

  // ---------------------------------------------------------------------------
  // Flights
  // ---------------------------------------------------------------------------

  get #current(): CacheState.CacheState<Flight> {
    return SynchronizedRef.getUnsafe(this.#state)
  }

  /** The one write: in the synchronous step that decided it, so no permit of the ref is needed. */
  #set(state: CacheState.CacheState<Flight>): void {
    this.#state.backing.ref.current = state
  }

  #join(kind: FlightKind, span: Tracer.AnySpan | undefined): Flight {
    const flight = CacheState.flightOf(this.#current)
    if (flight === undefined) return this.#begin(kind, span)
    flight.trace.joinedBy(span)
    // Of a request that is out already only the retries can change.
    if (kind.noCache) flight.noCache = true
    if (kind.isWaitedFor && !flight.isWaitedFor) {
      flight.isWaitedFor = true
      if (flight.permit !== undefined) this.#environment.permits.reorder(flight.permit)
    }
    return flight
  }

  #begin(kind: FlightKind, span?: Tracer.AnySpan): Flight {
    const now = this.#now()
    const flight = new Flight(now, kind)
    if (kind.isWaitedFor) flight.trace.joinedBy(span)
    if (CacheState.heldOf(this.#current) === undefined) this.#look.again()
    this.#isInLine = false
    this.#environment.permits.leaveLine(this.#turn)
    this.#set(CacheState.begin(this.#current, flight))
    this.#show(now)
    const fiber = this.#environment.fork(flight.trace.around(this.provider, flight.trigger, this.#fly(flight)))
    flight.interrupt = () => fiber.interruptUnsafe()
    fiber.addObserver((exit) => {
      if (flight.isDone) return
      // Interrupted by the layer's scope, or a bug of ours: either way nobody is left waiting.
      if (Exit.hasInterrupts(exit)) return this.#stop("closed")
      if (Exit.isFailure(exit)) this.#environment.fork(Effect.logError("A JWKS refresh died", exit.cause))
      this.#fail(flight, { reason: this.#defect() })
    })
    return flight
  }

  #fly(flight: Flight): Effect.Effect<void> {
    const { tenant } = this.provider
    return revalidate(
      this.#environment.client,
      {
        provider: this.provider,
        policy: this.#policy,
        held: () => this.held,
        noCache: () => flight.noCache,
        oneAttempt: flight.oneAttempt,
      },
      {
        withPermit: (attempt) =>
          Effect.suspend(() => {
            const permit: PermitRequest = {
              tenant,
              suspect: this.#lastAttemptTimedOut,
              isWaitedFor: () => flight.isWaitedFor,
            }
            flight.permit = permit
            return this.#environment.permits.withPermit(permit, attempt)
          }),
        location: () => this.#location,
        onLocated: (location, failure) => this.#locate(flight, location, failure),
        onAttempt: () => {
          flight.sentAt = ++this.#sequence
        },
        onAttemptFailed: ({ reason }) => {
          this.#lastAttemptTimedOut = isTimeout(reason)
          flight.release()
          if (CacheState.flightOf(this.#current) === flight) this.#show(this.#now())
        },
      },
    ).pipe(
      Effect.catchDefect((defect) =>
        Effect.as(Effect.logError("A JWKS refresh died", defect), {
          _tag: "Failed" as const,
          failure: { reason: this.#defect() },
        }),
      ),
      Effect.map((outcome) => this.#commit(flight, outcome)),
    )
  }

  /** The metadata were asked; with a `failure` the URL that is known stays. */
  #locate(flight: Flight, location: JwksLocation, failure: UnavailableReason | undefined): void {
    if (!this.#isCurrent(flight)) return
    const previous = this.#location?.jwksUrl
    this.#location = location
    if (failure !== undefined) {
      this.observe({ _tag: "RediscoveryFailed", reason: failure, count: location.failures })
    } else if (previous?.href !== location.jwksUrl.href) {
      this.observe({
        _tag: "JwksUrlDiscovered",
        url: displayUrl(location.jwksUrl),
        ...(previous !== undefined && { previous: displayUrl(previous) }),
      })
    }
  }

  #isCurrent(flight: Flight): boolean {
    return CacheState.flightOf(this.#current) === flight && this.#end === undefined
  }

  #defect(): UnavailableReason {
    return { _tag: "TransportFailed", url: displayUrl(this.#url), detail: "internal defect" }
  }

  /** The end of a flight: one synchronous step. A late answer changes nothing. */
  #commit(flight: Flight, outcome: Revalidated): void {
    if (!this.#isCurrent(flight)) return
    switch (outcome._tag) {
      case "Updated":
      case "Confirmed":
        return this.#succeed(flight, outcome)
      case "Failed":
        return outcome.failure.reason._tag === "NoPermit"
          ? this.#abandon(flight, outcome.failure)
          : this.#fail(flight, outcome.failure)
    }
  }

  #succeed(flight: Flight, success: Success): void {
    const now = this.#now()
    const { failure } = this.#current
    const before = CacheState.heldOf(this.#current)
    const held = heldAfter(success, before, this.provider.settings.removedKeyGrace, (lifetimeMillis) =>
      this.#runSync(this.#earlyRefresh(success.receivedAt.wall, lifetimeMillis)),
    )
    const changes = changesAfter(success, before)

    // What changed is told of keys that are known.
    this.#tellRestoredKeys(now)
    this.#confirmedAt = flight.sentAt
    this.#lastAttemptTimedOut = false
    this.#backoff = undefined
    this.#counts.refreshes += 1
    if (success._tag === "Confirmed") this.#counts.notModified += 1
    if (!answersAlike(success, before)) this.resolving.forgetAbsences()
    this.#countCommit(held)
    this.#set(CacheState.succeed(this.#current, flight, held, success.verdict.keep))
    if (success.verdict.keep) this.#environment.snapshots.changed(this.snapshotSubject, held)
    else this.#environment.snapshots.forget(this.snapshotSubject)

    for (const event of eventsAfter(success, before, held, changes, failure, now, flight.startedAt)) {
      this.#observe(event, now)
    }
    this.#show(now)
    const keys = usableKeys(held.jwks)
    flight.trace.ended(
      changes === undefined ? { outcome: "not_modified", keys } : { outcome: "updated", keys, changes },
    )
    this.#endFlight(flight, { _tag: "Refreshed", held, changes })
  }

  #fail(flight: Flight, { reason, retryAfterMillis }: FetchFailure): void {
    const now = this.#now()
    const count = (this.#current.failure?.count ?? 0) + 1
    this.#backoff ??= this.#runSync(stepper(backoff))
    // A `Retry-After` holds for every next attempt, also after a `refresh` that failed without one.
    const asked = this.#current.failure?.retryAfterUntil
    const pause = Math.max(retryAfterMillis ?? 0, asked === undefined ? 0 : Instant.remaining(asked, now))
    const delay = this.#runSync(this.#backoff(now.wall, { retryAfterMillis: pause }))
    const nextAttemptAt = Instant.plus(now, delay)
    const retryAfterUntil = pause > 0 ? Instant.plus(now, pause) : undefined
    const memory = Math.max(Math.min(delay, this.provider.settings.negativeCacheTtl), pause)
    const rememberedUntil = Instant.plus(now, memory)

    // Also an attempt that the deadline cut short.
    this.#lastAttemptTimedOut = isTimeout(reason)
    this.#counts.refreshes += 1
    this.#counts.refreshErrors.set(reason._tag, (this.#counts.refreshErrors.get(reason._tag) ?? 0) + 1)
    this.#set(
      CacheState.fail(this.#current, flight, {
        reason,
        at: now,
        count,
        nextAttemptAt,
        rememberedUntil,
        retryAfterUntil,
      }),
    )
    this.#observe(
      {
        _tag: "RefreshFailed",
        reason,
        count,
        durationMillis: now.mono - flight.startedAt.mono,
        nextAttemptAt: nextAttemptAt.wall,
      },
      now,
    )
    this.#show(now)
    flight.trace.ended({ outcome: "failed", reason })
    this.#endFlight(flight, { _tag: "Failed", reason, retryAt: nextAttemptAt, askAgainAt: rememberedUntil })
  }

  /** No permit was had before the deadline: not the provider's failure. */
  #abandon(flight: Flight, { reason }: FetchFailure): void {
    const now = this.#now()
    const retryAt = Instant.plus(now, permitPauseMillis)
    this.#set(CacheState.abandon(this.#current, flight, retryAt))
    this.#show(now)
    flight.trace.ended({ outcome: "no_permit", reason })
    this.#endFlight(flight, { _tag: "Failed", reason, retryAt, askAgainAt: retryAt })
  }

  #endFlight(flight: Flight, end: FlightEnd): void {
    flight.end(end)
    this.#tellEnd(end)
  }

  #tellEnd(end: FlightEnd): void {
    const nextEnd = this.#nextEnd
    this.#nextEnd = undefined
    if (nextEnd !== undefined) Deferred.doneUnsafe(nextEnd, Effect.succeed(end))
  }
}
