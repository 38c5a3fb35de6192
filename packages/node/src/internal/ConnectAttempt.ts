/**
 * A connection in the making, and who may end it before it stands: its timeout, the request that it is made
 * for, the end of the layer. undici by itself ends none of them with its request.
 */
import { errors } from "@effect/platform-node/Undici"
import { AsyncLocalStorage } from "node:async_hooks"

/** What can be closed from outside: a socket, or the request for a tunnel. */
export interface Closable {
  readonly destroy: (error: Error) => unknown
}

/** The signal of the request on whose behalf undici runs. */
const asking = new AsyncLocalStorage<AbortSignal>()

/** Sends a request; when `signal` aborts, a connection that is still being made for it ends too. */
export const askingUntil = <A>(signal: AbortSignal, send: () => A): A => asking.run(signal, send)

/** What is being made, so that the layer can end it. */
export type Connecting = Set<ConnectAttempt>

/** One connection in the making. */
export class ConnectAttempt {
  readonly #among: Connecting
  readonly #timer: NodeJS.Timeout
  readonly #asked: AbortSignal | undefined
  readonly #onAbort = (): void => this.end(new errors.RequestAbortedError())
  #open: Closable | undefined

  constructor(among: Connecting, timeoutMillis: number) {
    this.#among = among
    among.add(this)
    this.#timer = setTimeout(() => this.end(new errors.ConnectTimeoutError()), timeoutMillis)
    // One that is over was the last to use the connection, which is made anew for somebody else.
    const signal = asking.getStore()
    this.#asked = signal?.aborted === true ? undefined : signal
    this.#asked?.addEventListener("abort", this.#onAbort)
  }

  /** What is open by now. */
  readonly hold = (open: Closable): void => {
    this.#open = open
  }

  /** Closes what is open; whoever waits for it gets the error. */
  end(error: Error): void {
    this.#open?.destroy(error)
  }

  /** It stands, or failed: nobody ends it any more. */
  readonly settle = (): void => {
    clearTimeout(this.#timer)
    this.#asked?.removeEventListener("abort", this.#onAbort)
    this.#among.delete(this)
  }
}
