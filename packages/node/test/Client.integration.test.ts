import { assert, describe, it } from "@effect/vitest"
import { JwksMetrics, JwksRegistry, TransportGuards } from "@effect-jwks/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Persistence from "effect/persistence/Persistence"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { NodeJwksHttp } from "../src/index.ts"
import { makeCertificate } from "./support/Certificates.ts"
import { ask } from "./support/Direct.ts"
import { serveHttp, serveHttps, serveRaw } from "./support/Listening.ts"
import { onLoopback } from "./support/Names.ts"
import { answerJwks, jwksBody, once, outcomeOf, quietly, served } from "./support/Registry.ts"

const root = makeCertificate({ commonName: "Test root" })
const leaf = makeCertificate({ commonName: "idp.test", issuer: root, hosts: ["idp.test"] })
const serve = serveHttps({ certificate: leaf }, answerJwks)
const exempt = { allowPrivateAddresses: ["idp.test"] }
const transport = NodeJwksHttp.layer({ ca: root.pem, lookup: onLoopback("idp.test").lookup })

/** A registry over a client of the test's choice. */
const openOver = <E>(client: Layer.Layer<HttpClient.HttpClient, E>) =>
  Effect.map(
    Layer.build(
      JwksRegistry.layer({ ...exempt, defaults: once }).pipe(
        Layer.provide([client, Persistence.layerMemory, JwksMetrics.layerNoop]),
      ),
    ),
    (context) => Context.get(context, JwksRegistry),
  )

/** The transport with something around its client, and its word about pins passed on or not. */
const wrapped = (wrap: (client: HttpClient.HttpClient) => HttpClient.HttpClient, passesOn: boolean) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const context = Context.make(HttpClient.HttpClient, wrap(yield* HttpClient.HttpClient))
      return passesOn ? Context.add(context, TransportGuards, yield* TransportGuards) : context
    }),
  ).pipe(Layer.provide(transport))

describe("A registration that asks for a pin", () => {
  const pinnedSpki = [leaf.pin]
  const registration = { tenant: "acme", provider: "idp", jwksUrl: "https://idp.test/", pinnedSpki }

  it.live("is accepted over this transport", () =>
    Effect.gen(function* () {
      const { port } = yield* serve
      const registry = yield* openOver(transport)
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`, { pinnedSpki }), served)
    }),
  )

  it.live("is refused over fetch, which can not enforce one", () =>
    Effect.gen(function* () {
      const registry = yield* openOver(FetchHttpClient.layer)
      const { issues } = yield* Effect.flip(registry.register(registration))
      assert.deepStrictEqual(
        issues.map(({ field }) => field),
        ["pinnedSpki"],
      )
    }),
  )

  it.live("is refused over a wrapped client that does not pass on what the transport can", () =>
    Effect.gen(function* () {
      const registry = yield* openOver(wrapped((client) => client, false))
      const { issues } = yield* Effect.flip(registry.register(registration))
      assert.deepStrictEqual(
        issues.map(({ field }) => field),
        ["pinnedSpki"],
      )
    }),
  )

  it.live("is served through a client that changes its requests", () =>
    Effect.gen(function* () {
      const { port, requests } = yield* serve
      const named = HttpClient.mapRequest(HttpClientRequest.setHeader("x-shop", "1"))
      const registry = yield* openOver(wrapped(named, true))
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`, { pinnedSpki }), served)
      assert.strictEqual(requests[0]?.headers["x-shop"], "1")
    }),
  )

  it.live("is a mismatch through a client that makes responses anew, though the keys match", () =>
    Effect.gen(function* () {
      const { port } = yield* serve
      const rebuilt = HttpClient.transformResponse(
        Effect.flatMap((response) =>
          Effect.map(response.text, (text) => HttpClientResponse.fromWeb(response.request, new Response(text))),
        ),
      )
      const registry = yield* openOver(wrapped(rebuilt, true))
      const url = `https://idp.test:${port}/`
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki }), { _tag: "PinMismatch", url })
      assert.deepStrictEqual(yield* outcomeOf(registry, url), served)
    }).pipe(quietly),
  )

  it.live("is a mismatch through another client under the same word", () =>
    Effect.gen(function* () {
      const url = "https://idp.test/"
      const canned = HttpClient.make((request) =>
        Effect.succeed(HttpClientResponse.fromWeb(request, new Response(jwksBody))),
      )
      const registry = yield* openOver(wrapped(() => canned, true))
      assert.deepStrictEqual(yield* outcomeOf(registry, url), served)
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki }), { _tag: "PinMismatch", url })
    }).pipe(quietly),
  )
})

describe("A response", () => {
  it.live("is attested with the pins that its connection was checked against, and not without pins", () =>
    Effect.gen(function* () {
      const { port } = yield* serve
      const url = `https://idp.test:${port}/`
      const [pinned, unpinned] = yield* Effect.all([
        ask(url, { ...exempt, pins: [root.pin, leaf.pin] }),
        ask(url, exempt),
      ]).pipe(Effect.provide(transport))
      assert.deepStrictEqual(pinned.attested, [root.pin, leaf.pin].toSorted())
      assert.isUndefined(unpinned.attested)
    }),
  )

  for (const status of [200, 204, 205, 206, 301, 304, 404, 500, 599, 600, 999]) {
    it.live(`may have status ${status}`, () =>
      Effect.gen(function* () {
        const { connections, port } = yield* serveHttp((_, response) => {
          response.writeHead(status, { "x-status": status }).end()
        })
        const answer = yield* ask(`http://idp.test:${port}/`, exempt).pipe(Effect.provide(transport))
        assert.deepInclude(answer, { status, body: "" })
        assert.strictEqual(answer.headers["x-status"], String(status))
        yield* connections.allClosed
      }),
    )
  }

  it.live("whose body is not read holds no connection", () =>
    Effect.gen(function* () {
      for (const status of [200, 205, 302, 404, 503]) {
        const { connections, port } = yield* serveHttp((_, response) => {
          response.writeHead(status, { "content-encoding": "gzip" })
          response.write("never whole, and no gzip either")
        })
        yield* Effect.scoped(
          Effect.flatMap(HttpClient.HttpClient, (client) =>
            HttpClient.withScope(client).get(`http://127.0.0.1:${port}/`),
          ),
        )
        yield* connections.allClosed
      }
    }).pipe(Effect.provide(NodeJwksHttp.layer({ allowPrivateAddresses: true }))),
  )

  it.live("whose reader stops early holds no connection either", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveHttp((_, response) => {
        response.write("one piece of many")
      })
      // Without a scope of its own, so that nothing but the reader ends it.
      const client = yield* HttpClient.HttpClient
      const response = yield* client.get(`http://127.0.0.1:${port}/`)
      assert.isTrue(Option.isSome(yield* Stream.runHead(response.stream)))
      yield* connections.allClosed
    }).pipe(Effect.provide(NodeJwksHttp.layer({ allowPrivateAddresses: true, bodyTimeout: "5 minutes" }))),
  )

  it.live("that is given up before it was read holds none, and harms nobody", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveHttp((_, response) => {
        response.write("one piece of many")
      })
      const client = yield* HttpClient.HttpClient
      const response = yield* client.get(`http://127.0.0.1:${port}/`)
      const web = Option.getOrThrow(HttpClientResponse.toWeb(response))
      yield* Effect.promise(async () => web.body?.cancel())
      yield* connections.allClosed
    }).pipe(Effect.provide(NodeJwksHttp.layer({ allowPrivateAddresses: true, bodyTimeout: "5 minutes" }))),
  )

  it.live("keeps its header fields, those that came twice as one list", () =>
    Effect.gen(function* () {
      const { port } = yield* serveRaw((socket) =>
        socket.once("data", () =>
          socket.end(
            Buffer.from(
              "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\ncache-control: no-transform\r\nX-Name: caf\u00e9\r\n__proto__: x\r\n\r\n",
              "latin1",
            ),
          ),
        ),
      )
      const { headers } = yield* ask(`http://idp.test:${port}/`, exempt).pipe(Effect.provide(transport))
      assert.strictEqual(headers["cache-control"], "max-age=60, no-transform")
      assert.strictEqual(headers["x-name"], "caf\u00e9")
    }),
  )
})

describe("A request", () => {
  it.live("carries no trace headers, makes no span, and names the host of its URL", () =>
    Effect.gen(function* () {
      const { port, requests } = yield* serveHttp(answerJwks)
      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          spans.push(options.name)
          return new Tracer.NativeSpan(options)
        },
      })
      const url = `http://idp.test:${port}/jwks?a=1`
      const request = HttpClientRequest.get(url, {
        headers: { host: "elsewhere.test", connection: "upgrade", "accept-encoding": "br", accept: "application/json" },
      })
      const answer = yield* ask(request, exempt).pipe(
        Effect.withSpan("caller"),
        Effect.provide(transport),
        Effect.provideService(Tracer.Tracer, tracer),
      )
      assert.deepStrictEqual([answer.status, spans], [200, ["caller"]])
      const { headers, url: path } = requests[0] ?? { headers: {}, url: "" }
      assert.deepStrictEqual([path, headers.host, headers.connection], ["/jwks?a=1", `idp.test:${port}`, "keep-alive"])
      assert.sameMembers(Object.keys(headers), ["accept", "accept-encoding", "connection", "host"])
      assert.strictEqual(headers["accept-encoding"], "br")
    }),
  )

  it.live("follows no redirect", () =>
    Effect.gen(function* () {
      const { port, requests } = yield* serveHttp((_, response) => {
        response.writeHead(302, { location: "/elsewhere" }).end()
      })
      const answer = yield* ask(`http://idp.test:${port}/`, exempt).pipe(Effect.provide(transport))
      assert.deepStrictEqual([answer.status, answer.headers["location"], requests.length], [302, "/elsewhere", 1])
    }),
  )

  it.live("with a body is not sent: this client only reads", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveHttp(answerJwks)
      const request = HttpClientRequest.post(`http://idp.test:${port}/`).pipe(HttpClientRequest.bodyText("{}"))
      const error = yield* ask(request, exempt).pipe(Effect.flip, Effect.provide(transport))
      assert.instanceOf(error, TypeError)
      assert.strictEqual(connections.opened, 0)
    }),
  )
})
