/**
 * How often is connected for a request. undici by itself connects anew, at once and without end, whenever a
 * connection is gone before it could write the request.
 */

/** One connection for a request, and another for each that closed just when it was to be used again. */
const maxDials = 3

/** What goes on with one origin. */
interface Origin {
  /** Requests without a response so far. */
  waiting: number
  /** Connections that were begun for them. */
  dialled: number
}

/** The dials of one agent; undici does not tell which request one is for, so they are counted by origin. */
export class DialLimit {
  readonly #origins = new Map<string, Origin>()

  /** Sends a request, for which some connections may be made until it is answered or has failed. */
  async during<A>(origin: string, send: () => Promise<A>): Promise<A> {
    const known = this.#origins.get(origin) ?? { waiting: 0, dialled: 0 }
    this.#origins.set(origin, known)
    known.waiting += 1
    try {
      return await send()
    } finally {
      known.waiting -= 1
      // Its share goes with it, whoever used it.
      known.dialled = Math.max(0, known.dialled - maxDials)
      if (known.waiting === 0) this.#origins.delete(origin)
    }
  }

  /** Throws when as many connections were made as the waiting requests may have. */
  take(origin: string): void {
    const known = this.#origins.get(origin)
    if (known === undefined || known.dialled >= known.waiting * maxDials) throw noLastingConnection()
    known.dialled += 1
  }
}

/** Not one of undici's codes, at some of which its client would connect again and again. */
const noLastingConnection = (): Error =>
  Object.assign(new Error("connections close before they are used"), { code: "ERR_CONNECTIONS_UNUSED" })
