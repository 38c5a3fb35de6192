/**
 * The server's time, by this machine's clock and the answers' `now`: a laptop that is three minutes ahead must not show
 * a fresh provider as stale.
 */
export class ServerClock {
  #offset: number | undefined

  now(): number {
    return Date.now() + (this.#offset ?? 0)
  }

  /** Takes the `now` of an answer that was asked for at `askedAt`, by this machine's clock. */
  take(serverNow: number, askedAt: number): void {
    const here = Date.now()
    const offset = serverNow - (askedAt + here) / 2
    // Half the way of an answer is what can not be known: a smaller difference than that is no news, and no jump.
    const doubt = (here - askedAt) / 2 + 50
    if (this.#offset === undefined || Math.abs(offset - this.#offset) > doubt) this.#offset = offset
  }
}
