/**
 * A server that answers like the admin API, over a fleet that the test controls.
 */
import * as http from "node:http"
import { pageText, scriptHash, styleHash } from "../../../src/internal/pageText.ts"
import type { TimelineEvent } from "../../../page/model/Wire.ts"
import type { FakeFleet } from "./FakeFleet.ts"

export interface AdminStandIn {
  readonly url: string
  /** Requests, as method and path. */
  readonly requests: ReadonlyArray<string>
  /** `Last-Event-ID` of each stream that was opened. */
  readonly resumedAfter: ReadonlyArray<string | undefined>
  /** Streams that are open. */
  readonly streams: () => number
  /** Ends every stream; while it is down, every request is refused at the door. */
  readonly goDown: () => Promise<void>
  readonly comeBack: () => Promise<void>
  /** Tells every stream that events were left out. */
  readonly dropOnTheWay: (dropped: number) => void
  /** From now on this token is the right one. */
  readonly useToken: (token: string) => void
  readonly close: () => Promise<void>
}

export const startAdminStandIn = async (
  fleet: FakeFleet,
  options: { readonly token?: string; readonly isReadOpen?: boolean } = {},
): Promise<AdminStandIn> => {
  const isReadOpen = options.isReadOpen ?? false
  let { token } = options
  const requests: Array<string> = []
  const resumedAfter: Array<string | undefined> = []
  const streams = new Set<http.ServerResponse>()

  const answer = (response: http.ServerResponse, status: number, body: unknown) => {
    response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" })
    response.end(JSON.stringify(body))
  }

  const openStream = (request: http.IncomingMessage, response: http.ServerResponse, url: URL) => {
    const given = request.headers["last-event-id"] ?? url.searchParams.get("after") ?? undefined
    const after = Array.isArray(given) ? given[0] : given
    resumedAfter.push(after)
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" })
    response.write(": hello\n\n")
    const send = (event: TimelineEvent) => {
      response.write(`id: ${event.id}\nevent: jwks\ndata: ${JSON.stringify(event)}\n\n`)
    }
    if (after !== undefined) for (const event of fleet.events) if (event.id > Number(after)) send(event)
    streams.add(response)
    fleet.subscribers.add(send)
    response.on("close", () => {
      streams.delete(response)
      fleet.subscribers.delete(send)
    })
  }

  const serve = (request: http.IncomingMessage, response: http.ServerResponse) => {
    // Mounted at the root, and at /admin as well.
    const url = new URL((request.url ?? "/").replace(/^\/admin(?=\/|$)\/?/, "/"), "http://localhost")
    requests.push(`${request.method} ${url.pathname}${url.search}`)
    const isIn = token === undefined || request.headers.authorization === `Bearer ${token}`
    if (url.pathname === "/") {
      response.writeHead(isIn || isReadOpen ? 200 : 401, {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        ...(isIn || isReadOpen ? {} : { "www-authenticate": 'Bearer realm="jwks-admin"' }),
        "content-security-policy": [
          "default-src 'none'",
          `script-src 'sha256-${scriptHash}'`,
          `style-src 'sha256-${styleHash}'`,
          "connect-src 'self'",
          "img-src data:",
          "base-uri 'none'",
          "form-action 'none'",
          "frame-ancestors 'none'",
        ].join("; "),
      })
      response.end(pageText)
      return
    }
    if (!isIn && !(isReadOpen && request.method === "GET")) {
      answer(response, 401, { _tag: "Unauthorized", message: "A bearer token is needed." })
      return
    }
    const [, api, part, ...rest] = url.pathname.split("/").map(decodeURIComponent)
    if (api === "api" && part === "providers" && rest.length === 0) {
      answer(response, 200, fleet.list(url.searchParams))
    } else if (api === "api" && part === "providers") {
      const [tenant = "", provider = "", action] = rest
      const detail = fleet.detail({ tenant, provider })
      if (detail === undefined) answer(response, 404, { _tag: "NotRegistered", message: "Nobody registered it." })
      else if (action === "refresh") answer(response, fleet.refreshAnswer.status, fleet.refreshAnswer.body)
      else answer(response, 200, detail)
    } else if (url.pathname === "/api/events/stream") {
      openStream(request, response, url)
    } else if (url.pathname === "/api/events") {
      const before = Number(url.searchParams.get("before") ?? Number.POSITIVE_INFINITY)
      const limit = Number(url.searchParams.get("limit") ?? 100)
      const items = fleet.events
        .filter(({ id }) => id < before)
        .slice(-limit)
        .toReversed()
      answer(response, 200, { items, dropped: 0 })
    } else {
      answer(response, 404, { _tag: "NotFound", message: "Nothing is here." })
    }
  }

  let server = http.createServer(serve)
  let port = 0
  const listen = () =>
    new Promise<void>((resolve) => {
      server.listen(port, "127.0.0.1", () => {
        const address = server.address()
        if (typeof address === "object" && address !== null) port = address.port
        resolve()
      })
    })
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await listen()
  return {
    url: `http://127.0.0.1:${port}/`,
    requests,
    resumedAfter,
    streams: () => streams.size,
    goDown: close,
    comeBack: async () => {
      server = http.createServer(serve)
      await listen()
    },
    dropOnTheWay: (dropped) => {
      for (const stream of streams) stream.write(`event: dropped\ndata: ${JSON.stringify({ dropped })}\n\n`)
    },
    useToken: (next) => {
      token = next
    },
    close,
  }
}
