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
import { withinMachineTime } from "../persistence/MachineTime.ts"
import { snapshotId } from "../persistence/SnapshotId.ts"
import { type Provider, sourceUrl } from "../Provider.ts"
import type { ProviderStatus } from "../ProviderStatus.ts"
import type { Freshness } from "../Resolved.ts"
import type { UrlPolicy } from "../security/UrlPolicy.ts"
import * as CacheState from "./CacheState.ts"
import type { FetchPermits, PermitRequest, Turn } from "./FetchPermits.ts"
import { background, Flight, type FlightKind } from "./Flight.ts"
import { beatMillis, type FlightEnd, type FlightMark, isAlive } from "./FlightMark.ts"
import { answersAlike, changesAfter, eventsAfter, heldAfter, keysChanged, type Success } from "./FlightOutcome.ts"
import { type Answers, buildAnswers, type HitSlot, tickMillis, tickOf } from "./HitSlot.ts"
import type { ProviderMemory } from "./ProviderMemory.ts"
import { backoff, earlyRefresh, type Stepper, stepper } from "./RefreshDelay.ts"
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
  /**
   * Other registries share what is known, and this one lives for one request: nothing is done by timer but what
   * a flight needs, and what a provider has due is done when somebody uses it.
   */
  readonly isForOneRequest: boolean
}

/** How long the timer waits before it tries again to get a permit. */
const permitPauseMillis = 1_000

/** How long a request waits before it looks at another one's flight again: at first, and at the most. */
const firstGlanceMillis = 10
const lastGlanceMillis = 100

/** Whose snapshots they are, to those who write them. */
export const snapshotSubjectOf = (provider: Provider, policy: UrlPolicy): SnapshotSubject => ({
  id: snapshotId(provider),
  provider,
  policy,
})

export class ProviderCache {
  readonly provider: Provider
  readonly slot: HitSlot
  readonly resolving: Resolving
  /** Whose snapshots they are, to those who write them. */
  readonly snapshotSubject: SnapshotSubject
  readonly #environment: CacheEnvironment
  readonly #policy: UrlPolicy
  readonly #observe: (event: JwksEventBody, at: Instant.Instant) => void
  readonly #state: SynchronizedRef.SynchronizedRef<CacheState.CacheState<Flight>>
  readonly #memory: ProviderMemory
  /** The version of the memory that the state is in line with. */
  #version: number
  readonly #timer = new ScheduledItem(() => this.#onTimer())
  readonly #turn: Turn = { begin: () => this.#onTurn() }
  /** In line for a background flight. */
  #isInLine = false
  /** Completed at the end of the next flight. */
  #nextEnd: Deferred.Deferred<FlightEnd> | undefined
  #earlyRefresh: Stepper<number> | undefined
  /** Nobody has asked for the keys of the held set yet, so the slot does not show them. */
  #isSlotLate = false
  readonly #look: SnapshotLook
  /** `closing`: the flight under way may end, and nothing else begins. */
  #end: "superseded" | "closing" | "closed" | undefined

  constructor(
    environment: CacheEnvironment,
    provider: Provider,
    policy: UrlPolicy,
    observe: (event: JwksEventBody, at: Instant.Instant) => void,
    memory: ProviderMemory,
  ) {
    this.provider = provider
    this.snapshotSubject = snapshotSubjectOf(provider, policy)
    this.slot = memory.slot
    this.#environment = environment
    this.#policy = policy
    this.#observe = observe
    this.#memory = memory
    this.#version = memory.version
    this.#state = SynchronizedRef.makeUnsafe<CacheState.CacheState<Flight>>(CacheState.standing(memory))
    this.slot.usedAt = tickOf(this.#now().wall)
    this.resolving = new Resolving(this.#port(), memory)
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
    if (state._tag === "Empty" && this.#isWarm) this.#look.begin()
  }

  /** Whether the first flight waits for no question. A request has its questions, and needs no other provider. */
  get #isWarm(): boolean {
    return this.provider.settings.warm && !this.#environment.isForOneRequest
  }

  /**
   * Ends this generation: its flight commits nothing, and its waiters ask the registry again. They do so
   * at once, inside this call: the registry must show the next generation by then.
   */
  supersede(): void {
    this.#stop("superseded")
  }

  /**
   * The layer is about to close: nothing begins any more, and its own flight may end. Waits for that end; with
   * other requests' flights it has nothing to do any more.
   */
  get closing(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const flight = CacheState.flightOf(this.#current)
      if (flight?.mark === undefined || this.#end !== undefined) return Effect.void
      this.#end = "closing"
      this.#environment.permits.leaveLine(this.#turn)
      // Its own deadline ends it, but not where the clock stands still.
      const { deadline } = this.provider.settings.retryPolicy
      return Effect.asVoid(withinMachineTime(Deferred.await(flight.done), deadline + beatMillis))
    })
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
    // What other requests share stays as it is.
    if (!this.#environment.isForOneRequest) this.slot.close()
    this.#tellEnd({ _tag: "Superseded" })
    const flight = CacheState.flightOf(this.#current)
    if (flight === undefined) return
    this.#unmark(flight, { _tag: "Superseded" })
    flight.end({ _tag: "Superseded" })
    flight.interrupt()
  }

  // ---------------------------------------------------------------------------
  // What it shows
  // ---------------------------------------------------------------------------

  /** Numbers for the metrics. */
  reading(): ProviderReading {
    return this.#memory.reading(this.#now())
  }

  status(): ProviderStatus {
    const now = this.#now()
    return statusOf(
      this.provider,
      this.#url,
      this.#current,
      this.#usability(now),
      this.#isIdle(now),
      this.#memory.reading(now),
    )
  }

  get #url(): URL {
    return this.#memory.location?.jwksUrl ?? sourceUrl(this.provider.source)
  }

  #port(): ResolvingPort {
    return {
      provider: this.provider,
      slot: this.slot,
      now: () => this.#now(),
      touch: () => this.#touch(),
      tick: () => ++this.#memory.sequence,
      ended: () => this.#ended(),
      confirmedAt: () => this.#memory.confirmedAt,
      usability: (now) => this.#usability(now),
      servable: (now, allowStale) => this.#servable(now, allowStale),
      freshly: (held) => ({ held, answers: this.#answersOf(held, "fresh") }),
      failure: () => this.#current.failure,
      isUnderWay: (now) => CacheState.flightOf(this.#current) !== undefined || this.#memory.underWay(now) !== undefined,
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
      case "closing":
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
    if (usability !== this.#memory.shown || isFirstUse) this.#show(now)
    if (usability === "Fresh") return { held, answers: this.#answersOf(held, "fresh") }
    return usability === "Stale" && allowStale ? { held, answers: this.#answersOf(held, "stale") } : undefined
  }

  #answersOf(held: CacheState.HeldSet, freshness: Freshness): Answers {
    const memory = this.#memory
    if (memory.answers?.of !== held) memory.answers = { of: held }
    const { provider, tenant } = this.provider
    return (memory.answers[freshness] ??= buildAnswers(
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
    const current = this.#current
    const released = CacheState.flightOf(current)?.released ?? this.#memory.underWay(now)?.released ?? false
    return CacheState.usability(current, now, released)
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
    if (this.#environment.isForOneRequest) this.#refreshIfDue(now)
    return now
  }

  /** The provider was asked by somebody who was answered elsewhere. */
  used(): void {
    this.#touch()
  }

  /** What a timer would do. One request does it for all: the others go on with what is held. */
  #refreshIfDue(now: Instant.Instant): void {
    if (this.#end !== undefined || this.#isInLine || this.#memory.underWay(now) !== undefined) return
    const due = CacheState.nextFlightAt(this.#current)
    if (due !== undefined && Instant.isOver(due, now)) this.#lineUp()
  }

  #onTimer(): void {
    const now = this.#now()
    const state = this.#current
    const flight = CacheState.flightOf(state)
    if (flight?.mark !== undefined) flight.mark.aliveAt = now
    if (flight !== undefined && Instant.isOver(Instant.plus(flight.startedAt, CacheState.staleReleaseMillis), now)) {
      flight.release()
    }
    const due = CacheState.nextFlightAt(state)
    if (this.#hasTimers && !this.#isIdle(now) && due !== undefined && Instant.isOver(due, now)) this.#lineUp()
    this.#show(now)
  }

  /** A background flight is wanted: it begins when a permit is free for it, which may be at once. */
  #lineUp(): void {
    if (this.#isInLine) return
    this.#isInLine = true
    this.#environment.permits.lineUp(this.#turn, this.#memory.lastAttemptTimedOut)
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
      this.slot.open(this.#answersOf(held, "fresh"), this.#hitsUntil(held))
    } else if (held !== undefined && usability === "Stale" && !this.#isIdle(now) && this.#hasTimers) {
      this.slot.open(this.#answersOf(held, "stale"), held.staleUntil)
    } else {
      // Without timers, as an idle provider is too, its next user must come by here.
      this.slot.close()
    }
    this.#memory.shown = usability
    this.#tellStaleness(held, usability, now)
    this.#arrange(now)
  }

  /** Stale serving begins once, and ends by another set, which may be over at once (`strictHttp`), or with the window. */
  #tellStaleness(held: CacheState.HeldSet | undefined, usability: CacheState.Usability, now: Instant.Instant): void {
    const told = this.#memory.toldStale
    if (usability === "Stale" && held !== undefined) {
      this.#memory.toldStale = held
      if (told === undefined) this.#observe({ _tag: "StaleServing", until: held.staleUntil.wall }, now)
    } else if (told !== undefined && (usability !== "Expired" || held !== told)) {
      this.#memory.toldStale = undefined
      this.#observe({ _tag: "StaleEnded", recovered: held !== told }, now)
    }
  }

  /** Until when hits need not come by here (epoch milliseconds): where no timer refreshes, whoever asks then does. */
  #hitsUntil({ expiresAt, refreshAt }: CacheState.HeldSet): Instant.Instant {
    if (this.#hasTimers) return expiresAt
    const due = this.#current.failure?.nextAttemptAt ?? refreshAt
    return due === undefined ? expiresAt : Instant.earlier(due, expiresAt)
  }

  get #hasTimers(): boolean {
    return !this.#environment.isForOneRequest
  }

  #arrange(now: Instant.Instant): void {
    const at = this.#hasTimers ? this.#nextChangeAt(now) : this.#nextOfFlight(now)
    if (at === undefined) this.#environment.scheduler.cancel(this.#timer)
    else this.#environment.scheduler.schedule(this.#timer, at)
  }

  #nextChangeAt(now: Instant.Instant): number | undefined {
    const flight = CacheState.flightOf(this.#current)
    return CacheState.nextChangeAt(
      this.#current,
      now,
      flight === undefined || flight.released ? undefined : flight.startedAt,
      !this.#isInLine && !this.#isIdle(now),
    )?.mono
  }

  /** What a flight has to do by timer: say that it is still there, and let stale answers be given. */
  #nextOfFlight(now: Instant.Instant): number | undefined {
    const flight = CacheState.flightOf(this.#current)
    if (flight === undefined) return undefined
    const release = flight.released ? Infinity : flight.startedAt.mono + CacheState.staleReleaseMillis
    const at = Math.min(release, flight.mark === undefined ? Infinity : now.mono + beatMillis)
    return at === Infinity ? undefined : at
  }

  #runSync<A>(effect: Effect.Effect<A>): A {
    return Effect.runSyncWith(this.#environment.context)(effect)
  }

  // ---------------------------------------------------------------------------
  // Snapshots
  // ---------------------------------------------------------------------------

  /** The same as {@link snapshotSubject}, to those who read them: takes what is found for a question that is asked now. */
  get restoreTarget(): RestoreTarget {
    const askedAt = this.#memory.commits
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
    const mayFly = this.#end === undefined && this.#isWarm
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
    if (askedAt !== this.#memory.commits || wall <= this.#memory.newestAt) return "Older"
    const now = this.#now()
    const { removedKeyGrace } = this.provider.settings
    const held = { ...restored, removed: removedKeys(before, restored.jwks, removedKeyGrace, now) }
    if (this.provider.source._tag === "Discovered" && this.#memory.location === undefined) {
      this.#memory.location = locationOf(held, now)
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
    if (before === undefined) this.#memory.untold = held
    else for (const event of keysChanged(before.jwks, held.jwks)) this.#observe(event, now)
    this.#show(now)
    this.#environment.snapshots.adopted(this.snapshotSubject, held)
    // Whoever waits for the first flight may not have to wait any longer.
    CacheState.flightOf(this.#current)?.signal()
    if (this.#memory.shown !== "Unusable") this.#tellEnd({ _tag: "Refreshed", held, changes: undefined })
    return "Adopted"
  }

  /** Tells the keys of a restored first set, as soon as somebody has looked at them. */
  #tellRestoredKeys(now: Instant.Instant): void {
    const { untold } = this.#memory
    if (untold === undefined || isPending(untold.jwks)) return
    this.#memory.untold = undefined
    for (const event of keysChanged(undefined, untold.jwks)) this.#observe(event, now)
  }

  #countCommit(held: CacheState.HeldSet): void {
    this.#memory.commits += 1
    this.#memory.newestAt = Math.max(this.#memory.newestAt, held.receivedAt.wall)
  }

  // ---------------------------------------------------------------------------
  // Flights
  // ---------------------------------------------------------------------------

  get #current(): CacheState.CacheState<Flight> {
    const memory = this.#memory
    if (memory.version !== this.#version) {
      // Another request has changed what they share.
      this.#version = memory.version
      this.#state.backing.ref.current = CacheState.rebase(SynchronizedRef.getUnsafe(this.#state), memory)
    }
    return SynchronizedRef.getUnsafe(this.#state)
  }

  /** The one write: in the synchronous step that decided it, so no permit of the ref is needed. */
  #set(state: CacheState.CacheState<Flight>): void {
    this.#state.backing.ref.current = state
    this.#memory.keep(state)
    this.#version = this.#memory.version
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
    const other = this.#memory.underWay(now)
    if (other !== undefined && kind.noCache) other.noCache = true
    if (other === undefined && this.#environment.isForOneRequest) this.#mark(flight, now)
    if (kind.isWaitedFor) flight.trace.joinedBy(span)
    if (CacheState.heldOf(this.#current) === undefined) this.#look.again()
    this.#isInLine = false
    this.#environment.permits.leaveLine(this.#turn)
    this.#set(CacheState.begin(this.#current, flight))
    this.#show(now)
    const fiber = this.#environment.fork(
      other === undefined
        ? flight.trace.around(this.provider, flight.trigger, this.#fly(flight))
        : this.#follow(flight, other),
    )
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

  /** Shows a flight to the other requests. */
  #mark(flight: Flight, now: Instant.Instant): void {
    const until = Instant.plus(now, this.provider.settings.retryPolicy.deadline + beatMillis)
    const mark: FlightMark = { until, aliveAt: now, noCache: flight.noCache, released: false, end: undefined }
    flight.mark = mark
    this.#memory.mark = mark
  }

  #unmark({ mark }: Flight, end: FlightEnd): void {
    if (mark === undefined) return
    mark.end ??= end
    if (this.#memory.mark === mark) this.#memory.mark = undefined
  }

  /**
   * Waits for what the flight of another request brings. It looks now and then, since nothing that one request
   * completes may wake another. Where that request has gone, whoever waits asks again, and may fly himself.
   */
  #follow(flight: Flight, other: FlightMark): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (let pause = firstGlanceMillis; isAlive(other, this.#now()); pause = Math.min(2 * pause, lastGlanceMillis)) {
        if (other.released && !flight.released) {
          flight.release()
          this.#show(this.#now())
        }
        yield* Effect.sleep(pause)
      }
      this.#land(flight, other.end ?? { _tag: "Superseded" })
    })
  }

  /** The end of a flight that another request has brought. */
  #land(flight: Flight, end: FlightEnd): void {
    if (!this.#isCurrent(flight)) return
    this.#set(CacheState.land(this.#current, flight))
    this.#show(this.#now())
    this.#endFlight(flight, end)
  }

  #fly(flight: Flight): Effect.Effect<void> {
    const { tenant } = this.provider
    return revalidate(
      this.#environment.client,
      {
        provider: this.provider,
        policy: this.#policy,
        held: () => this.held,
        noCache: () => flight.noCache || flight.mark?.noCache === true,
        oneAttempt: flight.oneAttempt,
      },
      {
        withPermit: (attempt) =>
          Effect.suspend(() => {
            const permit: PermitRequest = {
              tenant,
              suspect: this.#memory.lastAttemptTimedOut,
              isWaitedFor: () => flight.isWaitedFor,
            }
            flight.permit = permit
            return this.#environment.permits.withPermit(permit, attempt)
          }),
        location: () => this.#memory.location,
        onLocated: (location, failure) => this.#locate(flight, location, failure),
        onAttempt: () => {
          flight.sentAt = ++this.#memory.sequence
        },
        onAttemptFailed: ({ reason }) => {
          this.#memory.lastAttemptTimedOut = isTimeout(reason)
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
    const previous = this.#memory.location?.jwksUrl
    this.#memory.location = location
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
    return CacheState.flightOf(this.#current) === flight && (this.#end === undefined || this.#end === "closing")
  }

  #defect(): UnavailableReason {
    return { _tag: "TransportFailed", url: displayUrl(this.#url), detail: "internal defect" }
  }

  /** The end of a flight: one synchronous step. A late answer changes nothing. */
  #commit(flight: Flight, outcome: Revalidated): void {
    if (!this.#isCurrent(flight)) return
    const { held } = this
    // Another request has asked later and was answered first: what this one brings is older.
    if (flight.sentAt > 0 && flight.sentAt < this.#memory.confirmedAt && held !== undefined) {
      return this.#land(flight, { _tag: "Refreshed", held, changes: undefined })
    }
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
      this.#runSync(this.#refreshDelay(success.receivedAt.wall, lifetimeMillis)),
    )
    const changes = changesAfter(success, before)

    // What changed is told of keys that are known.
    this.#tellRestoredKeys(now)
    const memory = this.#memory
    memory.confirmedAt = flight.sentAt
    memory.lastAttemptTimedOut = false
    memory.backoff = undefined
    memory.counts.refreshes += 1
    if (success._tag === "Confirmed") memory.counts.notModified += 1
    if (!answersAlike(success, before)) this.resolving.forgetAbsences()
    this.#countCommit(held)
    this.#set(CacheState.succeed(this.#current, flight, held, success.verdict.keep))
    if (!memory.isGone) {
      if (success.verdict.keep) this.#environment.snapshots.changed(this.snapshotSubject, held)
      else this.#environment.snapshots.forget(this.snapshotSubject)
    }

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

  #refreshDelay(now: number, lifetimeMillis: number): Effect.Effect<number> {
    this.#earlyRefresh ??= this.#runSync(stepper(earlyRefresh(this.provider.settings)))
    return this.#earlyRefresh(now, lifetimeMillis)
  }

  #fail(flight: Flight, { reason, retryAfterMillis }: FetchFailure): void {
    const now = this.#now()
    const memory = this.#memory
    const count = (this.#current.failure?.count ?? 0) + 1
    memory.backoff ??= this.#runSync(stepper(backoff))
    // A `Retry-After` holds for every next attempt, also after a `refresh` that failed without one.
    const asked = this.#current.failure?.retryAfterUntil
    const pause = Math.max(retryAfterMillis ?? 0, asked === undefined ? 0 : Instant.remaining(asked, now))
    const delay = this.#runSync(memory.backoff(now.wall, { retryAfterMillis: pause }))
    const nextAttemptAt = Instant.plus(now, delay)
    const retryAfterUntil = pause > 0 ? Instant.plus(now, pause) : undefined
    const remembered = Math.max(Math.min(delay, this.provider.settings.negativeCacheTtl), pause)
    const rememberedUntil = Instant.plus(now, remembered)

    // Also an attempt that the deadline cut short.
    memory.lastAttemptTimedOut = isTimeout(reason)
    memory.counts.refreshes += 1
    memory.counts.refreshErrors.set(reason._tag, (memory.counts.refreshErrors.get(reason._tag) ?? 0) + 1)
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
    this.#unmark(flight, end)
    flight.end(end)
    this.#tellEnd(end)
  }

  #tellEnd(end: FlightEnd): void {
    const nextEnd = this.#nextEnd
    this.#nextEnd = undefined
    if (nextEnd !== undefined) Deferred.doneUnsafe(nextEnd, Effect.succeed(end))
  }
}
