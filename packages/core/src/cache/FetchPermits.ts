/**
 * Bounded concurrency of fetch attempts, and its fairness (resolving rule 11).
 *
 * **Details**
 *
 * A free permit goes to whoever comes first in this order: flights that a caller waits for before
 * background work; then providers that answer before those whose last attempt timed out, which share a
 * quarter of the permits; then the tenant that holds the fewest permits and, among those, in turn the one
 * that has the fewest requests in the queue and the one that came last. One tenant holds at most a quarter. Inside a tenant the caller who came
 * last goes first: when there is more work than permits, those who waited longest are the likeliest to
 * run into their deadline anyway.
 *
 * Background work that has not begun stands in a line of its own, outside every deadline: its turn comes
 * when a permit is free that nobody queues for. So thousands of providers can be registered at once.
 */
import * as Effect from "effect/Effect"

/** Who asks for a permit. */
export interface PermitRequest {
  readonly tenant: string
  /** The provider's last attempt timed out. */
  readonly suspect: boolean
  /** A caller waits for the answer; may become true while the request is queued, see {@link FetchPermits.reorder}. */
  readonly isWaitedFor: () => boolean
}

interface Ticket {
  readonly request: PermitRequest
  readonly grant: () => void
  /** The order in which tickets came, or were reordered. */
  order: number
  queue: Queue | undefined
}

/** Background work that waits for its turn to begin. */
export interface Turn {
  readonly begin: () => void
}

/** Tickets of one class, by tenant. */
type Queue = Map<string, Array<Ticket>>

/** How many tenants of a class are compared before one is chosen: bounds the cost of a grant. */
const comparedTenants = 64

export class FetchPermits {
  #max: number
  readonly #share: number
  readonly #heldByTenant = new Map<string, number>()
  #held = 0
  #entered = 0
  #granted = 0
  #heldBySuspects = 0
  readonly #waitedFor: Queue = new Map()
  readonly #waitedForSuspect: Queue = new Map()
  readonly #background: Queue = new Map()
  readonly #backgroundSuspect: Queue = new Map()
  readonly #tickets = new Map<PermitRequest, Ticket>()
  readonly #line = new Set<Turn>()
  readonly #suspectLine = new Set<Turn>()
  /** What a granted attempt does may come back here at once; the loop that runs goes on with it. */
  #isGranting = false

  constructor(max: number) {
    this.#max = max
    this.#share = Math.max(1, Math.floor(max / 4))
  }

  /** Permits in use. */
  get held(): number {
    return this.#held
  }

  /** Runs `attempt` with a permit, which is given back however it ends; waiting for one can be interrupted. */
  withPermit<A, E, R>(request: PermitRequest, attempt: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(this.#acquire(request)), () =>
        Effect.onExit(restore(attempt), () => Effect.sync(() => this.#release(request))),
      ),
    )
  }

  /** Lets `turn` begin as soon as a permit is free that nobody queues for. */
  lineUp(turn: Turn, suspect: boolean): void {
    ;(suspect ? this.#suspectLine : this.#line).add(turn)
    this.#grantFree()
  }

  /** Takes `turn` out of the line. */
  leaveLine(turn: Turn): void {
    this.#line.delete(turn)
    this.#suspectLine.delete(turn)
  }

  /** Grants nothing any more: the registry is closing. */
  close(): void {
    this.#max = 0
  }

  /** Tells that `isWaitedFor` of a queued request turned true. */
  reorder(request: PermitRequest): void {
    const ticket = this.#tickets.get(request)
    if (ticket === undefined) return
    this.#leave(ticket)
    this.#enter(ticket)
  }

  #acquire(request: PermitRequest): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const ticket: Ticket = { request, grant: () => resume(Effect.void), order: 0, queue: undefined }
      this.#tickets.set(request, ticket)
      this.#enter(ticket)
      this.#grantFree()
      // Interrupted while queued. A granted ticket has left the queue, and its permit goes back in `withPermit`.
      return Effect.sync(() => {
        if (this.#tickets.delete(request)) this.#leave(ticket)
      })
    })
  }

  #release(request: PermitRequest): void {
    this.#held -= 1
    if (request.suspect) this.#heldBySuspects -= 1
    const left = (this.#heldByTenant.get(request.tenant) ?? 1) - 1
    if (left === 0) this.#heldByTenant.delete(request.tenant)
    else this.#heldByTenant.set(request.tenant, left)
    this.#grantFree()
  }

  #enter(ticket: Ticket): void {
    const { isWaitedFor, suspect, tenant } = ticket.request
    const queue = isWaitedFor()
      ? suspect
        ? this.#waitedForSuspect
        : this.#waitedFor
      : suspect
        ? this.#backgroundSuspect
        : this.#background
    const tickets = queue.get(tenant)
    if (tickets === undefined) queue.set(tenant, [ticket])
    else if (isWaitedFor()) tickets.unshift(ticket)
    else tickets.push(ticket)
    ticket.queue = queue
    ticket.order = ++this.#entered
  }

  #leave(ticket: Ticket): void {
    const { tenant } = ticket.request
    const tickets = ticket.queue?.get(tenant)
    if (tickets === undefined) return
    const at = tickets.indexOf(ticket)
    if (at >= 0) tickets.splice(at, 1)
    if (tickets.length === 0) ticket.queue?.delete(tenant)
    ticket.queue = undefined
  }

  #grantFree(): void {
    if (this.#isGranting) return
    this.#isGranting = true
    try {
      while (this.#held < this.#max) {
        const ticket = this.#next()
        if (ticket !== undefined) {
          this.#grant(ticket)
          continue
        }
        const turn = this.#nextTurn()
        if (turn === undefined) return
        this.leaveLine(turn)
        turn.begin()
      }
    } finally {
      this.#isGranting = false
    }
  }

  #grant(ticket: Ticket): void {
    const { suspect, tenant } = ticket.request
    this.#leave(ticket)
    this.#tickets.delete(ticket.request)
    this.#held += 1
    this.#granted += 1
    if (suspect) this.#heldBySuspects += 1
    this.#heldByTenant.set(tenant, (this.#heldByTenant.get(tenant) ?? 0) + 1)
    ticket.grant()
  }

  #nextTurn(): Turn | undefined {
    for (const turn of this.#line) return turn
    if (this.#heldBySuspects < this.#share) for (const turn of this.#suspectLine) return turn
    return undefined
  }

  #next(): Ticket | undefined {
    const suspectsAllowed = this.#heldBySuspects < this.#share
    return (
      this.#best(this.#waitedFor) ??
      (suspectsAllowed ? this.#best(this.#waitedForSuspect) : undefined) ??
      this.#best(this.#background) ??
      (suspectsAllowed ? this.#best(this.#backgroundSuspect) : undefined)
    )
  }

  #best(queue: Queue): Ticket | undefined {
    let best: Array<Ticket> | undefined
    let bestHeld = this.#share
    let compared = 0
    for (const [tenant, tickets] of queue) {
      const held = this.#heldByTenant.get(tenant) ?? 0
      if (held >= this.#share) continue
      if (best === undefined || held < bestHeld || (held === bestHeld && this.#isPreferred(tickets, best))) {
        best = tickets
        bestHeld = held
      }
      compared += 1
      if (compared === comparedTenants) break
    }
    return best?.[0]
  }

  /** Small tenants and late comers take turns: each finds its way past a crowd of the other kind. */
  #isPreferred(tickets: ReadonlyArray<Ticket>, best: ReadonlyArray<Ticket>): boolean {
    return this.#granted % 2 === 0 ? tickets.length < best.length : (tickets[0]?.order ?? 0) > (best[0]?.order ?? 0)
  }
}
