/**
 * The errors that fetch gives on Node when a connection fails, so that applications see from the
 * scripted provider what they would see from a socket.
 */

/** What the operating system said. */
class ConnectionError extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** No response: fetch's `TypeError`, with the reason as its cause. */
export const fetchFailed = (code: "ECONNREFUSED" | "ENOTFOUND", host: string): TypeError =>
  new TypeError("fetch failed", { cause: new ConnectionError(code, `${code} ${host}`) })

/** A body that breaks off: fetch's `TypeError`, with the reason as its cause. */
export const terminated = (by: "reset" | "close"): TypeError =>
  new TypeError("terminated", {
    cause:
      by === "reset"
        ? new ConnectionError("ECONNRESET", "read ECONNRESET")
        : new ConnectionError("UND_ERR_SOCKET", "other side closed"),
  })
