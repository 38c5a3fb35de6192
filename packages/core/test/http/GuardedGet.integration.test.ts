import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Zlib from "node:zlib"
import { type GuardedRequest, guardedGet } from "../../src/http/GuardedGet.ts"
import { fetchJwks } from "../../src/http/JwksFetch.ts"
import type { UrlPolicy } from "../../src/security/UrlPolicy.ts"

/** Listens on the loopback interface until the test ends. */
const listen = (server: Net.Server): Effect.Effect<URL, never, Scope.Scope> => {
  const sockets = new Set<Net.Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  return Effect.acquireRelease(
    Effect.callback<URL>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed(new URL(`http://127.0.0.1:${port}/`)))
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      }),
  )
}

/** A real server, and the requests that it got. */
const serve = Effect.fnUntraced(function* (
  answer: (request: Http.IncomingMessage, response: Http.ServerResponse) => void,
) {
  const requests: Array<Http.IncomingMessage> = []
  const url = yield* listen(
    Http.createServer((request, response) => {
      requests.push(request)
      answer(request, response)
    }),
  )
  return { url, requests }
})

const policy: UrlPolicy = { requireHttps: false, allowedDomainLists: [], allowPrivateAddresses: ["127.0.0.1"] }

const get = (url: URL, options: Partial<GuardedRequest> = {}) =>
  HttpClient.HttpClient.pipe(
    Effect.flatMap((client) =>
      guardedGet(client, {
        url,
        accept: "application/json",
        headersFor: () => ({}),
        policy,
        maxRedirects: 3,
        maxResponseBytes: 65_536,
        pins: [],
        ...options,
      }),
    ),
    Effect.provide(FetchHttpClient.layer),
  )

/** Until the client has closed the connection of a request. */
const isClosed = (request: Http.IncomingMessage | undefined): Effect.Effect<void> =>
  Effect.suspend(() =>
    request?.socket.destroyed === true ? Effect.void : Effect.andThen(Effect.sleep(5), isClosed(request)),
  )

const text = (body: Uint8Array): string => new TextDecoder().decode(body)

describe("guardedGet with the stock fetch client and real servers", () => {
  it.live("gets a document, and sends neither cookies nor trace headers nor a referrer", () =>
    Effect.gen(function* () {
      const { requests, url } = yield* serve((_, response) => {
        response.setHeader("set-cookie", "session=1")
        response.end('{"keys":[]}')
      })
      const twice = Effect.andThen(get(url), get(url)).pipe(Effect.withSpan("caller"))
      const { body, status } = yield* twice
      assert.deepStrictEqual([status, text(body)], [200, '{"keys":[]}'])
      assert.lengthOf(requests, 2)
      for (const { headers, method } of requests) {
        assert.strictEqual(method, "GET")
        assert.strictEqual(headers.accept, "application/json")
        for (const name of ["cookie", "authorization", "traceparent", "tracestate", "b3", "referer"]) {
          assert.isUndefined(headers[name], name)
        }
      }
    }),
  )

  it.live("follows redirects hop by hop, and sends each hop its own headers", () =>
    Effect.gen(function* () {
      const last = yield* serve((_, response) => response.end("{}"))
      const first = yield* serve((request, response) => {
        const location = request.url === "/" ? "/second" : new URL("/jwks?a=1#part", last.url).href
        response.writeHead(302, { location }).end("moved")
      })
      const response = yield* get(first.url, {
        headersFor: (hop): Record<string, string> => (hop.port === last.url.port ? { "if-none-match": '"1"' } : {}),
      })
      assert.strictEqual(response.url.href, new URL("/jwks?a=1", last.url).href)
      assert.deepStrictEqual(
        first.requests.map((request) => [request.url, request.headers["if-none-match"]]),
        [
          ["/", undefined],
          ["/second", undefined],
        ],
      )
      assert.deepStrictEqual(
        last.requests.map((request) => [request.url, request.headers["if-none-match"]]),
        [["/jwks?a=1", '"1"']],
      )
    }),
  )

  it.live("does not touch the host that a refused redirect names", () =>
    Effect.gen(function* () {
      const forbidden = yield* serve((_, response) => response.end("{}"))
      const { url } = yield* serve((_, response) => {
        response.writeHead(302, { location: `http://localhost:${forbidden.url.port}/` }).end()
      })
      const { reason } = yield* Effect.flip(get(url))
      assert.deepStrictEqual(reason, {
        _tag: "AddressRefused",
        host: "localhost",
        rule: "the name localhost is local",
      })
      assert.lengthOf(forbidden.requests, 0)
    }),
  )

  it.live("refuses a fetch that follows redirects whatever it is told", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((request, response) => {
        if (request.url === "/") response.writeHead(302, { location: "/moved" }).end()
        else response.end("{}")
      })
      const following: typeof fetch = (input, init) => fetch(input, { ...init, redirect: "follow" })
      const { reason } = yield* Effect.flip(get(url)).pipe(Effect.provideService(FetchHttpClient.Fetch, following))
      assert.deepStrictEqual(reason, {
        _tag: "RedirectRefused",
        url: url.href,
        rule: "the HTTP client followed a redirect on its own",
      })
    }),
  )

  it.live("stops reading an endless body at the limit, and closes its connection", () =>
    Effect.gen(function* () {
      let sent = 0
      const { requests, url } = yield* serve((_, response) => {
        const chunk = Buffer.alloc(16_384, 0x20)
        const write = (): void => {
          while (!response.destroyed && response.write(chunk)) sent += chunk.length
        }
        response.on("drain", write)
        write()
      })
      const { reason } = yield* Effect.flip(get(url))
      assert.deepStrictEqual(reason, { _tag: "BodyTooLarge", url: url.href, limitBytes: 65_536 })
      yield* isClosed(requests[0])
      // Beyond the limit there is only what the sockets of both sides buffer.
      assert.isBelow(sent, 16 * 1_048_576)
    }),
  )

  it.live("measures a compressed body by what it expands to", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((_, response) => {
        const bomb = Zlib.gzipSync(Buffer.alloc(10 * 1_048_576, 0x20))
        response.writeHead(200, { "content-encoding": "gzip", "content-length": bomb.length }).end(bomb)
      })
      const { reason } = yield* Effect.flip(get(url))
      assert.strictEqual(reason._tag, "BodyTooLarge")
      const small = yield* serve((_, response) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(Zlib.gzipSync('{"keys":[]}'))
      })
      assert.strictEqual(text((yield* get(small.url)).body), '{"keys":[]}')
    }),
  )

  it.live("does not wait for the bodies of redirects, errors and 304", () =>
    Effect.gen(function* () {
      for (const status of [302, 300, 404, 503]) {
        // The body never ends: only closing the connection lets go of it.
        const { requests, url } = yield* serve((request, response) => {
          if (request.url === "/moved") response.end("{}")
          else response.writeHead(status, { location: "/moved" }).write("x".repeat(1_000))
        })
        yield* Effect.exit(get(url))
        assert.lengthOf(requests, status === 302 ? 2 : 1)
        yield* isClosed(requests[0])
      }
    }),
  )

  it.live("reports a body that is cut off", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((_, response) => {
        response.writeHead(200, { "content-length": 1_000 }).write('{"keys":[', () => response.destroy())
      })
      const { reason } = yield* Effect.flip(get(url))
      assert.deepStrictEqual(reason, { _tag: "TransportFailed", url: url.href, detail: "UND_ERR_SOCKET" })
    }),
  )

  it.live("names the code of a refused connection, and shows no query", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(listen(Net.createServer()))
      const { reason } = yield* Effect.flip(get(new URL("/jwks?key=secret", url)))
      assert.deepStrictEqual(reason, {
        _tag: "TransportFailed",
        url: new URL("/jwks", url).href,
        detail: "ECONNREFUSED",
      })
    }),
  )

  it.live("reports a server that closes without a word", () =>
    Effect.gen(function* () {
      const url = yield* listen(Net.createServer((socket) => socket.destroy()))
      const { reason } = yield* Effect.flip(get(url))
      assert.strictEqual(reason._tag, "TransportFailed")
      assert.match(reason._tag === "TransportFailed" ? reason.detail : "", /^(UND_ERR_SOCKET|ECONNRESET)$/)
    }),
  )

  it.live("reports a server that does not speak HTTP, and shows nothing of what it says", () =>
    Effect.gen(function* () {
      const url = yield* listen(
        Net.createServer((socket) => socket.on("error", () => {}).end("SSH-2.0-secret\r\n\r\n")),
      )
      const { reason } = yield* Effect.flip(get(url))
      assert.deepInclude(reason, { _tag: "TransportFailed", url: url.href })
      // Node 22's parser has a code for it.
      if (reason._tag === "TransportFailed")
        assert.include(["the request failed", "HPE_INVALID_CONSTANT"], reason.detail)
    }),
  )

  it.live("closes the connection of a request that its caller gave up", () =>
    Effect.gen(function* () {
      const { requests, url } = yield* serve(() => {})
      const given = yield* get(url).pipe(
        Effect.timeoutOrElse({ duration: "50 millis", orElse: () => Effect.succeed("gave up") }),
      )
      assert.strictEqual(given, "gave up")
      assert.lengthOf(requests, 1)
      yield* isClosed(requests[0])
    }),
  )

  it.live("revalidates with the validators of the final URL", () =>
    Effect.gen(function* () {
      const { requests, url } = yield* serve((request, response) => {
        if (request.url === "/") response.writeHead(307, { location: "/jwks" }).end()
        else if (request.headers["if-none-match"] === '"1"') response.writeHead(304, { etag: '"1"' }).end()
        else response.writeHead(200, { etag: '"1"' }).end('{"keys":[]}')
      })
      const client = yield* Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer)
      const settings = { maxRedirects: 1, maxResponseBytes: 1_000, pinnedSpki: [] }
      const first = yield* fetchJwks(client, { url, policy, settings, validators: undefined, noCache: false })
      const validators = first._tag === "Fetched" ? first.validators : undefined
      assert.deepStrictEqual(validators, { url: new URL("/jwks", url).href, etag: '"1"' })
      const second = yield* fetchJwks(client, { url, policy, settings, validators, noCache: true })
      assert.strictEqual(second._tag, "NotModified")
      assert.deepStrictEqual(
        requests.map(({ headers, url: path }) => [path, headers["if-none-match"], headers["cache-control"]]),
        [
          ["/", undefined, undefined],
          ["/jwks", undefined, undefined],
          ["/", undefined, "no-cache"],
          ["/jwks", '"1"', "no-cache"],
        ],
      )
    }),
  )
})
