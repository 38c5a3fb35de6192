/**
 * The requests of one registration, held against the contract's bounds: rules 2, 6, 7, 10 and 13.
 */
import { earliestRefresh } from "./KeySet.ts"
import type { Outcome, Settings } from "./Trace.ts"
import type { View } from "./View.ts"

/** A request that is under way. */
export interface OpenRequest {
  readonly seq: number
  readonly at: number
  readonly conditional: boolean
}

/** Why a flight was started, as far as that shows. */
type Kind = "plain" | "forced" | "refresh"

interface Flight {
  readonly number: number
  readonly kind: Kind
  readonly since: number
  attempts: number
  /** 304s that nobody asked for; the request that follows one belongs to the same attempt. */
  unaskedFor: number
  attemptSince: number
}

/** A request as it was sent. */
export interface Sent extends OpenRequest {
  readonly request: number
  readonly flight: number
  readonly noCache: boolean
}

/** A token bucket. */
export class Bucket {
  readonly #settings: Settings["kidRefresh"]
  #tokens: number
  #at: number

  constructor(settings: Settings["kidRefresh"], now: number) {
    this.#settings = settings
    this.#tokens = settings.burst
    this.#at = now
  }

  /** Whether there is a token; it is gone then. */
  take(now: number): boolean {
    const level = this.level(now)
    this.#tokens = Math.max(0, level - 1)
    this.#at = now
    return level > 0.9999
  }

  level(now: number): number {
    return Math.min(this.#settings.burst, this.#tokens + (now - this.#at) / this.#settings.every)
  }
}

/** The requests of one generation of a registration. */
export class Upstream {
  readonly settings: Settings
  readonly open = new Map<number, OpenRequest>()
  flight: Flight | undefined
  /** Where the last request is in the trace. */
  lastSeq = -1
  /** The moment by which timers must have sent the next request. */
  dueBy: number
  /** A `Retry-After` of this generation lasts until then. */
  notBefore = 0
  /** Timers may rest until then: for the longest `Retry-After` since the last success, of any generation. */
  mayRestUntil = 0
  #refreshAskedAt: number | undefined
  #followsUnaskedFor = false
  readonly #allowed: Bucket
  /** What is left at least, whether or not a registration refills the bucket. */
  readonly #certain: Bucket

  constructor(settings: Settings, now: number, dueBy: number, certain = new Bucket(settings.kidRefresh, now)) {
    this.settings = settings
    this.dueBy = dueBy
    this.#allowed = new Bucket(settings.kidRefresh, now)
    this.#certain = certain
  }

  /** The next generation. */
  next(settings: Settings, now: number, dueBy: number): Upstream {
    return new Upstream(settings, now, dueBy, this.#certain)
  }

  /** Whether a forced revalidation would certainly find a token. */
  hasToken(now: number): boolean {
    return this.#certain.level(now) > 1.0001 || this.#certain.level(now) === this.settings.kidRefresh.burst
  }

  /** Somebody asks for a `refresh`: a flight that starts now is no forced revalidation. */
  refreshAsked(now: number): void {
    this.#refreshAskedAt = now
  }

  /** A request is sent; `unknownKid`: somebody waits for a kid that the set lacks. */
  sent({ request, flight, noCache, ...open }: Sent, view: View, unknownKid: boolean): ReadonlyArray<string> {
    const { at } = open
    const objections: Array<string> = []
    const object = (held: boolean, objection: string) => {
      if (held) objections.push(objection)
    }
    object(this.open.size > 0, "(3) a second request while one is under way")
    object(at > this.dueBy, `(6) the request was due by ${this.dueBy}`)
    this.open.set(request, open)
    this.lastSeq = open.seq
    this.dueBy = Infinity

    if (this.flight?.number !== flight) {
      const kind = !noCache ? "plain" : this.#refreshAskedAt === at ? "refresh" : "forced"
      this.flight = { number: flight, kind, since: at, attempts: 0, unaskedFor: 0, attemptSince: at }
      if (noCache) objections.push(...this.#spend(kind, view, unknownKid, at))
      const early = view.set !== undefined && view.failed === "no" && at < earliestRefresh(view.set, this.settings)
      object(kind === "plain" && early, "(6) a set that is fresh was refreshed unasked")
    }
    const { kind, attempts, unaskedFor } = this.flight
    this.flight.attempts += 1
    if (!this.#followsUnaskedFor) this.flight.attemptSince = at
    this.#followsUnaskedFor = false
    const most = (kind === "forced" ? 1 : 1 + this.settings.maxRetries) + Math.min(1, unaskedFor)
    object(attempts >= most, `(6) attempt ${attempts + 1} of a ${kind} flight`)
    object(kind !== "refresh" && at < this.notBefore, `(6) a request before Retry-After is over at ${this.notBefore}`)
    const wholeAt = view.set?.wholeAt ?? at
    object(open.conditional && this.flight.since - wholeAt > this.settings.maxTtl, "(6) no full GET within maxTtl")
    return objections
  }

  #spend(kind: Kind, view: View, unknownKid: boolean, at: number): ReadonlyArray<string> {
    this.#certain.take(at)
    if (kind !== "forced") return []
    if (!unknownKid) return ["(6) a forced revalidation that nobody asked for"]
    if (view.set === undefined || at > view.set.staleUntil) return ["(6) a forced revalidation without a usable set"]
    return this.#allowed.take(at) ? [] : ["(6) a forced revalidation without a token"]
  }

  /** A 304 came that nobody asked for: the first one of a flight is followed by another request at once. */
  followsUnaskedFor(now: number): boolean {
    if (this.flight === undefined || this.flight.unaskedFor > 0) return false
    this.flight.unaskedFor = 1
    this.#followsUnaskedFor = true
    this.dueBy = now
    return true
  }

  /** A request ends; what the contract objects to in the way it does. */
  ended(request: number, { _tag }: Outcome, now: number): ReadonlyArray<string> {
    const open = this.open.get(request)
    this.open.delete(request)
    if (_tag !== "Abandoned" || open === undefined || this.flight === undefined) return []
    const { attemptTimeout, deadline } = this.settings
    const early = now - this.flight.attemptSince < attemptTimeout - 0.01 && now - this.flight.since < deadline - 300
    return early ? ["(7) a request was abandoned before its time"] : []
  }

  /** What the contract objects to when nothing more happens now. */
  settled(now: number): ReadonlyArray<string> {
    const objections = now > this.dueBy ? [`(6) no request, though it was due by ${this.dueBy}`] : []
    const attemptSince = this.flight?.attemptSince ?? now
    if (this.open.size > 0 && now - attemptSince > this.settings.attemptTimeout) {
      objections.push("(6) an attempt past its attemptTimeout")
    }
    return objections
  }
}
