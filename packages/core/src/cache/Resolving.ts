/**
 * How a question is answered: the resolving rules 1 to 7 of one provider, over what `ProviderCache`
 * shows of its state. Reads and waits; commits nothing.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Tracer from "effect/Tracer"
import { shownSpan } from "../Tracing.ts"
import * as Instant from "../Instant.ts"
import type { JwksUnavailable, KeyAmbiguous, KeyNotFound, ResolveError, UnavailableReason } from "../JwksError.ts"
import type { JwksEventBody } from "../JwksEvent.ts"
import type { Provider } from "../Provider.ts"
import type { RefreshOutcome, ResolvedJwks, ResolvedKey, ResolveKeyOptions } from "../Resolved.ts"
import type { Failure, HeldSet, Usability } from "./CacheState.ts"
import { awaited, demanded, type Flight, type FlightKind, forced } from "./Flight.ts"
import type { FlightEnd } from "./FlightMark.ts"
import type { Answer, HitSlot } from "./HitSlot.ts"
import { ask, idOf, mayBeKid, type Question, questionOf, type Said, type Servable } from "./Question.ts"
import { Refusals } from "./Refusals.ts"
import type { ProviderMemory } from "./ProviderMemory.ts"
import { takeToken } from "./UnknownKids.ts"

/** The provider was registered anew or unregistered while somebody waited: ask the registry again. */
export interface Superseded {
  readonly _tag: "Superseded"
}

/** What the questions need to know of the cache, and may ask of it. */
export interface ResolvingPort {
  readonly provider: Provider
  readonly slot: HitSlot
  readonly now: () => Instant.Instant
  /** Like `now`, and marks the provider as used. */
  readonly touch: () => Instant.Instant
  /** The next number in the order of questions and sent requests. */
  readonly tick: () => number
  /** Set once the cache answers no more questions. */
  readonly ended: () => Effect.Effect<never, JwksUnavailable | Superseded> | undefined
  /** When the request was sent that last brought or confirmed a set, in the same order. */
  readonly confirmedAt: () => number
  readonly usability: (now: Instant.Instant) => Usability
  /** The set that may answer without waiting. */
  readonly servable: (now: Instant.Instant, allowStale: boolean) => Servable | undefined
  /** A set that a flight has just brought, as fresh, whether or not it was kept. */
  readonly freshly: (held: HeldSet) => Servable
  readonly failure: () => Failure | undefined
  /** Whether somebody asks the provider already, in this registry or in one that shares its memory. */
  readonly isUnderWay: (now: Instant.Instant) => boolean
  /** Where nothing is held, waits for the look for a snapshot, which it begins if need be. */
  readonly looked: () => Effect.Effect<void>
  /** Joins the flight under way or starts one. */
  readonly join: (kind: FlightKind, span: Tracer.AnySpan | undefined) => Flight
  /** Has a flight fly in the background, in its turn, and waits for the end of it or of another before it. */
  readonly backgroundFlight: Effect.Effect<FlightEnd>
  readonly observe: (event: JwksEventBody, now: Instant.Instant) => void
}

export class Resolving {
  readonly #port: ResolvingPort
  readonly #memory: Pick<ProviderMemory, "absences" | "budget" | "counts" | "refusalReported">
  readonly #refusals: Refusals

  constructor(port: ResolvingPort, memory: ProviderMemory) {
    this.#port = port
    this.#memory = memory
    this.#refusals = new Refusals(port.provider)
  }

  /** A request that was not answered from the set at once, and is counted at this provider. */
  countMiss(): void {
    this.#memory.counts.misses += 1
  }

  /** The set changed: what was absent may be there now. */
  forgetAbsences(): void {
    this.#memory.absences.clear()
  }

  /** One key. `again`: the same request, asked anew after a registration; counted once. */
  resolveKey(
    kid: string | undefined,
    options: ResolveKeyOptions | undefined,
    again: boolean,
  ): Effect.Effect<ResolvedKey, ResolveError | Superseded> {
    return Effect.withFiber((fiber) => {
      const span = shownSpan(fiber)
      const now = this.#port.touch()
      const question = questionOf(kid, options, span, this.#port.tick())
      const servable = this.#port.servable(now, question.allowStale)
      const said = servable && this.#ask(question, servable, now)
      if (said?._tag === "Found") {
        if (!again) this.#port.slot.count(now.wall, said.answer.stale)
        return said.answer.exit
      }
      if (!again) this.#memory.counts.misses += 1
      return said === undefined ? this.#lookAndWait(question) : this.#settle(question, said, now)
    })
  }

  /** What the set says at once, without counting it; `undefined` where it has no key. */
  peek(
    kid: string | undefined,
    options: ResolveKeyOptions | undefined,
  ): Result.Result<Answer, KeyAmbiguous> | undefined {
    const now = this.#port.now()
    // Another provider of the tenant may have it: only a question to this one counts as unknown.
    const question: Question = {
      ...questionOf(kid, options, undefined, this.#port.tick()),
      isCountedAsUnknown: true,
    }
    const servable = this.#port.servable(now, question.allowStale)
    const said = servable && this.#ask(question, servable, now)
    if (said?._tag === "Found") return Result.succeed(said.answer)
    return said?._tag === "Ambiguous" ? Result.fail(this.#refusals.ambiguous(question, said.thumbprints)) : undefined
  }

  /** The whole usable set. */
  resolve(again: boolean): Effect.Effect<ResolvedJwks, JwksUnavailable | Superseded> {
    return Effect.withFiber((fiber) => {
      const span = shownSpan(fiber)
      const now = this.#port.touch()
      const servable = this.#port.servable(now, true)
      if (servable !== undefined) {
        if (!again) this.#port.slot.count(now.wall, servable.answers.stale)
        return servable.answers.jwks
      }
      if (!again) this.#memory.counts.misses += 1
      return Effect.flatMap(this.#port.looked(), () => {
        const now = this.#port.now()
        return this.#late(this.#port.servable(now, true)) ?? this.#resolveLate(span, now)
      })
    })
  }

  #resolveLate(
    span: Tracer.AnySpan | undefined,
    now: Instant.Instant,
  ): Effect.Effect<ResolvedJwks, JwksUnavailable | Superseded> {
    return this.#flight(span, now, (now, end) =>
      this.#late(end?._tag === "Refreshed" ? this.#port.freshly(end.held) : this.#port.servable(now, true)),
    )
  }

  /** The whole set, for somebody who had to wait for it. */
  #late(servable: Servable | undefined): Exit.Exit<ResolvedJwks> | undefined {
    if (servable?.answers.stale === true) this.#memory.counts.staleMisses += 1
    return servable?.answers.jwks
  }

  /** Revalidates now or joins the flight under way; ignores memory, back-off and budget. */
  readonly refresh: Effect.Effect<RefreshOutcome, JwksUnavailable | Superseded> = Effect.withFiber((fiber) => {
    const ended = this.#port.ended()
    if (ended !== undefined) return ended
    return Effect.flatMap(
      this.#landing(this.#port.join(demanded, shownSpan(fiber))),
      (end): Effect.Effect<RefreshOutcome, JwksUnavailable> => {
        if (end._tag === "Failed")
          return Effect.fail(this.#refusals.unavailable(end.reason, end.askAgainAt, this.#port.now()))
        const expiresAt = end.held.expiresAt.wall
        return Effect.succeed(
          end.changes === undefined
            ? { _tag: "NotModified", expiresAt }
            : { _tag: "Updated", ...end.changes, expiresAt },
        )
      },
    )
  })

  /** Waits until a set is usable, or says why it is not. */
  readonly warmUp: Effect.Effect<UnavailableReason | undefined, JwksUnavailable | Superseded> = Effect.suspend(() => {
    const ended = this.#port.ended()
    if (ended !== undefined) return ended
    const now = this.#port.touch()
    if (this.#port.usability(now) !== "Unusable") return Effect.undefined
    return Effect.flatMap(this.#port.looked(), () => this.#warmUpNow)
  })

  readonly #warmUpNow: Effect.Effect<UnavailableReason | undefined, JwksUnavailable | Superseded> = Effect.suspend(
    () => {
      const ended = this.#port.ended()
      if (ended !== undefined) return ended
      if (this.#port.usability(this.#port.now()) !== "Unusable") return Effect.undefined
      const failure = this.#port.failure()
      if (failure !== undefined && !this.#port.isUnderWay(this.#port.now())) return Effect.succeed(failure.reason)
      return Effect.flatMap(this.#port.backgroundFlight, (end) => {
        switch (end._tag) {
          case "Refreshed":
            return Effect.undefined
          case "Failed":
            if (this.#port.usability(this.#port.now()) !== "Unusable") return Effect.undefined
            // The provider was not asked: its turn is still to come.
            return end.reason._tag === "NoPermit" ? this.warmUp : Effect.succeed(end.reason)
          case "Superseded":
            return this.#port.ended() ?? Effect.fail<Superseded>(end)
        }
      })
    },
  )

  // ---------------------------------------------------------------------------
  // Rules 4 and 5: no set that answers at once
  // ---------------------------------------------------------------------------

  /** What holds nothing may have a snapshot; what that brought answers late, and is asked as it is. */
  #lookAndWait(question: Question): Effect.Effect<ResolvedKey, ResolveError | Superseded> {
    return Effect.flatMap(this.#port.looked(), () => {
      const now = this.#port.now()
      const servable = this.#port.servable(now, question.allowStale)
      return servable === undefined
        ? this.#wait(question, now)
        : this.#settleLate(question, this.#ask(question, servable, now), now)
    })
  }

  #wait(question: Question, now: Instant.Instant): Effect.Effect<ResolvedKey, ResolveError | Superseded> {
    return Effect.flatten(
      this.#flight(question.span, now, (now, end) => {
        if (end !== undefined) return Exit.succeed(this.#landed(question, end, now))
        const servable = this.#port.servable(now, question.allowStale)
        return servable && Exit.succeed(this.#settleLate(question, this.#ask(question, servable, now), now))
      }),
    )
  }

  /**
   * Joins the flight, and lets `answer` decide: each time that something has come to answer from (without
   * `end`), and once the flight has ended. `undefined` means that there is nothing to answer from.
   */
  #flight<A>(
    span: Tracer.AnySpan | undefined,
    now: Instant.Instant,
    answer: (now: Instant.Instant, end: Landed | undefined) => Exit.Exit<A> | undefined,
  ): Effect.Effect<A, JwksUnavailable | Superseded> {
    const ended = this.#port.ended()
    if (ended !== undefined) return ended
    const failure = this.#port.failure()
    if (failure !== undefined && !this.#port.isUnderWay(now) && !Instant.isOver(failure.rememberedUntil, now)) {
      return Effect.fail(this.#refusals.unavailable(failure.reason, failure.rememberedUntil, now))
    }
    const flight = this.#port.join(awaited, span)
    const landing = Effect.flatMap(this.#landing(flight), (end) => {
      const now = this.#port.now()
      const answered = answer(now, end)
      if (answered !== undefined) return answered
      return Effect.fail(
        end._tag === "Failed"
          ? this.#refusals.unavailable(end.reason, end.askAgainAt, now)
          : // A set was brought, so there is always an answer from it.
            this.#refusals.closed(),
      )
    })
    /** Something may be there to answer from before the flight ends: stale answers, or a snapshot. */
    const wait: Effect.Effect<A, JwksUnavailable | Superseded> = Effect.suspend(() =>
      flight.isDone
        ? landing
        : (answer(this.#port.now(), undefined) ?? Effect.andThen(Deferred.await(flight.changed), wait)),
    )
    return wait
  }

  /** Waits for a flight to end; one that was superseded sends its waiters back. */
  #landing(flight: Flight): Effect.Effect<Landed, JwksUnavailable | Superseded> {
    return Effect.flatMap(Deferred.await(flight.done), (end) =>
      end._tag === "Superseded" ? (this.#port.ended() ?? Effect.fail<Superseded>(end)) : Effect.succeed(end),
    )
  }

  /** A question whose flight has ended. */
  #landed(
    question: Question,
    end: Landed,
    now: Instant.Instant,
  ): Effect.Effect<ResolvedKey, ResolveError | Superseded> {
    if (end._tag === "Refreshed") {
      const said = this.#ask(question, this.#port.freshly(end.held), now)
      if (said._tag !== "Absent") return this.#settleLate(question, said, now)
      // Another caller of the same flight may have had a newer set fetched by now.
      const servable = this.#port.servable(now, question.allowStale)
      return servable === undefined || servable.held === end.held
        ? this.#absent(question, now)
        : this.#settleLate(question, this.#ask(question, servable, now), now)
    }
    const servable = this.#port.servable(now, question.allowStale)
    if (servable === undefined) return Effect.fail(this.#refusals.unavailable(end.reason, end.askAgainAt, now))
    const said = this.#ask(question, servable, now)
    return said._tag === "Absent"
      ? Effect.fail(this.#refusals.unproven(question, Instant.remaining(end.retryAt, now)))
      : this.#settleLate(question, said, now)
  }

  // ---------------------------------------------------------------------------
  // Rule 6: a kid that the set lacks
  // ---------------------------------------------------------------------------

  #absent(question: Question, now: Instant.Instant): Effect.Effect<ResolvedKey, ResolveError | Superseded> {
    const ended = this.#port.ended()
    if (ended !== undefined) return ended
    if (question.kid !== undefined && !mayBeKid(question.kid)) {
      return Effect.fail(this.#refusals.dropped(question, "InvalidKid"))
    }
    if (this.#port.confirmedAt() > question.askedAt) {
      this.#memory.absences.remember(idOf(question), now, this.#port.provider.settings.negativeCacheTtl)
      return Effect.fail(this.#refusals.absent(question))
    }
    if (this.#memory.absences.has(idOf(question), now)) return Effect.fail(this.#refusals.absent(question))
    if (this.#port.isUnderWay(now)) return this.#look(question, this.#port.join(forced, question.span))

    const failure = this.#port.failure()
    if (failure !== undefined && !Instant.isOver(failure.nextAttemptAt, now)) {
      return this.#refuse(question, Instant.remaining(failure.nextAttemptAt, now), now)
    }
    const token = takeToken(this.#memory.budget, this.#port.provider.settings.kidRefresh, now)
    this.#memory.budget = token.budget
    if (!token.taken) return this.#refuse(question, token.retryAfterMillis, now)
    this.#memory.refusalReported = false
    return Effect.tapError(this.#look(question, this.#port.join(forced, question.span)), (error) =>
      Effect.sync(() => {
        if (error._tag === "KeyNotFound") this.#reportUnknown(error, this.#port.now())
      }),
    )
  }

  #look(question: Question, flight: Flight): Effect.Effect<ResolvedKey, ResolveError | Superseded> {
    return Effect.flatMap(this.#landing(flight), (end) => this.#landed(question, end, this.#port.now()))
  }

  /** The provider can not be asked now: not proven, not remembered. */
  #refuse(question: Question, retryAfterMillis: number, now: Instant.Instant): Effect.Effect<never, KeyNotFound> {
    const error = this.#refusals.unproven(question, retryAfterMillis)
    if (!this.#memory.refusalReported) this.#reportUnknown(error, now)
    this.#memory.refusalReported = true
    return Effect.fail(error)
  }

  #reportUnknown(error: KeyNotFound, now: Instant.Instant): void {
    const { confirmed, kid, retryAfterMillis } = error
    this.#port.observe(
      {
        _tag: "UnknownKid",
        confirmed,
        ...(kid === undefined ? {} : { kid }),
        ...(retryAfterMillis === undefined ? {} : { retryAfterMillis }),
      },
      now,
    )
  }

  // ---------------------------------------------------------------------------
  // What a set says, and how it is told
  // ---------------------------------------------------------------------------

  #ask(question: Question, servable: Servable, now: Instant.Instant): Said {
    const said = ask(question, servable, this.#port.provider, now)
    if (said._tag === "Absent" && !question.isCountedAsUnknown) {
      question.isCountedAsUnknown = true
      this.#memory.counts.unknownKids += 1
    }
    return said
  }

  /** Like `#settle`, for an answer that did not come at once. */
  #settleLate(
    question: Question,
    said: Said,
    now: Instant.Instant,
  ): Effect.Effect<ResolvedKey, ResolveError | Superseded> {
    if (said._tag === "Found" && said.answer.stale) this.#memory.counts.staleMisses += 1
    return this.#settle(question, said, now)
  }

  #settle(question: Question, said: Said, now: Instant.Instant): Effect.Effect<ResolvedKey, ResolveError | Superseded> {
    switch (said._tag) {
      case "Found":
        return said.answer.exit
      case "Ambiguous":
        return Effect.fail(this.#refusals.ambiguous(question, said.thumbprints))
      case "Dropped":
        return Effect.fail(this.#refusals.dropped(question, said.reason))
      case "Absent":
        return this.#absent(question, now)
    }
  }
}

type Landed = Exclude<FlightEnd, { readonly _tag: "Superseded" }>
