/**
 * The identity providers of all tenants behind one socket of this machine, which counts what reaches it.
 */
import { once } from "node:events"
import { createServer } from "node:http"

/** A tenant's key set, as it is published. */
export interface PublishedKeys {
  readonly tenant: string
  readonly keys: ReadonlyArray<object>
}

/** Where the key sets are served. */
export interface Upstream {
  readonly issuerOf: (tenant: string) => string
  readonly jwksUrlOf: (tenant: string) => string
  /** Requests that have reached the socket. */
  readonly requests: number
  readonly close: () => Promise<void>
}

/** Serves each key set under its tenant's path on 127.0.0.1, with a day to live. */
export const serve = async (tenants: ReadonlyArray<PublishedKeys>): Promise<Upstream> => {
  const bodies = new Map(tenants.map(({ keys, tenant }) => [pathOf(tenant), JSON.stringify({ keys })]))
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    const body = bodies.get(request.url ?? "")
    response.writeHead(body === undefined ? 404 : 200, {
      "content-type": "application/json",
      "cache-control": "public, max-age=86400",
    })
    response.end(body)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the upstream got no port")
  const origin = `http://127.0.0.1:${address.port}`
  return {
    issuerOf: (tenant) => `${origin}/${tenant}`,
    jwksUrlOf: (tenant) => `${origin}${pathOf(tenant)}`,
    get requests() {
      return requests
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    },
  }
}

const pathOf = (tenant: string): string => `/${tenant}/.well-known/jwks.json`
