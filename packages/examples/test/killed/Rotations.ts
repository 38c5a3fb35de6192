/**
 * A provider that publishes another key each time that it is asked, and counts what it sends.
 */
import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

/** A P-256 key; its kid alone tells one rotation from another. */
const key = {
  kty: "EC",
  crv: "P-256",
  x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
  y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
  use: "sig",
  alg: "ES256",
}

/** The kid of a provider's nth rotation. */
const kidOf = (provider: string, rotation: number): string => `${provider}-${rotation}`

/** The rotation that a kid names. */
export const rotationOf = (kid: string): number => Number(kid.slice(kid.lastIndexOf("-") + 1))

export class Rotations {
  /** Whether each request finds another key. */
  isRotating = true
  /** Whole documents sent since this was set to 0, by provider. */
  readonly bodies = new Map<string, number>()
  readonly #rotations = new Map<string, number>()
  readonly #server = Http.createServer((request, response) => this.#answer(request, response))

  /** Listens on a free loopback port; its origin. */
  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1")
    await once(this.#server, "listening")
    // A server that listens on a port has an address of this form.
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  /** Ends the server and its connections. */
  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, "close")
  }

  /** The latest rotation that a provider has published. */
  latest(provider: string): number {
    return this.#rotations.get(provider) ?? 0
  }

  #answer(request: Http.IncomingMessage, response: Http.ServerResponse): void {
    const provider = (request.url ?? "/").slice(1)
    const rotation = this.latest(provider) + (this.isRotating ? 1 : 0)
    this.#rotations.set(provider, rotation)
    const headers = { "cache-control": "max-age=3600", etag: `"${rotation}"`, "content-type": "application/json" }
    if (request.headers["if-none-match"] === headers.etag) {
      response.writeHead(304, headers).end()
      return
    }
    this.bodies.set(provider, (this.bodies.get(provider) ?? 0) + 1)
    response.writeHead(200, headers).end(JSON.stringify({ keys: [{ ...key, kid: kidOf(provider, rotation) }] }))
  }
}
