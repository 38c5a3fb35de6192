/**
 * A namespace of Workers KV as workerd asks for one: the values by key, over HTTP.
 */
import { createServer } from "node:http"
import { once } from "node:events"
import { text } from "node:stream/consumers"

export class KvNamespace {
  readonly values = new Map<string, string>()
  readonly #written = Promise.withResolvers<void>()
  readonly #server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://kv.invalid")
    const key = decodeURIComponent(pathname.slice(1))
    const answer = async (): Promise<unknown> => {
      const value = this.values.get(key)
      switch (request.method) {
        case "GET":
          response.statusCode = value === undefined ? 404 : 200
          return response.end(value)
        case "PUT":
          this.values.set(key, await text(request))
          return response.end(() => this.#written.resolve())
        case "DELETE":
          this.values.delete(key)
          response.statusCode = 204
          return response.end()
        default:
          response.statusCode = 405
          return response.end()
      }
    }
    answer().catch(() => response.destroy())
  })

  /** Done with the first value that is put. */
  get written(): Promise<void> {
    return this.#written.promise
  }

  /** Listens on a free port of this machine; which one. */
  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1")
    await once(this.#server, "listening")
    const address = this.#server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }

  async close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, "close")
  }
}
