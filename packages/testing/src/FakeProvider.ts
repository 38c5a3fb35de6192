/**
 * An identity provider on a real socket of this machine, for tests that go through the whole stack.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import type { Socket } from "node:net"
import type { IdentityProvider, IdentityProviderOptions } from "./IdentityProvider.ts"
import * as ReachableProvider from "./internal/ReachableProvider.ts"
import { writeReply } from "./internal/writeReply.ts"

/** How a provider on a socket begins. */
export interface FakeProviderOptions extends IdentityProviderOptions {
  /** Port on 127.0.0.1. Default: 0, any free one. */
  readonly port?: number
  /** Path of the JWKS. Default: `/jwks`. */
  readonly jwksPath?: string
  /** Path of the issuer, such as `/realms/acme`. Default: none. */
  readonly issuerPath?: string
}

/** Connections to a provider's socket, at the moment they are read. */
export interface Connections {
  readonly opened: number
  readonly open: number
}

/** An identity provider on a socket. */
export interface ListeningProvider extends IdentityProvider {
  readonly port: number
  readonly connections: Connections
}

/** Listens on 127.0.0.1 for as long as the scope lives; closing it ends every connection. */
const listen = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Server; readonly sockets: Set<Socket>; readonly connections: Connections }>(
      (resume) => {
        const sockets = new Set<Socket>()
        let opened = 0
        const connections: Connections = {
          get opened() {
            return opened
          },
          get open() {
            return sockets.size
          },
        }
        const server = createServer()
        server.on("connection", (socket) => {
          opened += 1
          sockets.add(socket)
          socket.once("close", () => sockets.delete(socket))
        })
        server.once("error", (error) => resume(Effect.die(error)))
        server.listen(port, "127.0.0.1", () => resume(Effect.succeed({ server, sockets, connections })))
      },
    ),
    ({ server, sockets }) =>
      Effect.promise(() => {
        const closing = [server, ...sockets].map(
          (handle) => new Promise<void>((closed) => handle.once("close", closed)),
        )
        server.close()
        for (const socket of sockets) socket.destroy()
        return Promise.all(closing)
      }),
  )

const headersOf = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : (value ?? "")]),
  )

// A request target that makes no URL gets what an unknown path gets.
const urlOf = (target: string | undefined, origin: string): URL =>
  new URL(URL.canParse(`${origin}${target}`) ? `${origin}${target}` : origin)

/**
 * An identity provider on a real socket: HTTP/1.1 on 127.0.0.1, with its own keys.
 *
 * **Details**
 *
 * Counts what reached its own socket, nothing else. Its clock is the machine's, also inside a test
 * that runs on `TestClock`. Closing the scope ends every connection and waits until they are gone.
 *
 * **Example** (A cache that revalidates)
 *
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { FakeProvider } from "@effect-jwks/testing"
 *
 * const program = Effect.gen(function* () {
 *   const provider = yield* FakeProvider.make({ response: { cacheControl: "max-age=1" } })
 *   const first = yield* Effect.promise(() => fetch(provider.jwksUrl))
 *   const etag = first.headers.get("etag") ?? ""
 *   yield* Effect.promise(() => fetch(provider.jwksUrl, { headers: { "if-none-match": etag } }))
 *   return provider.notModified // => 1
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export class FakeProvider extends Context.Service<FakeProvider, ListeningProvider>()(
  "@effect-jwks/testing/FakeProvider",
) {
  /** A provider that listens until the scope closes; several can live side by side. */
  static readonly make = Effect.fnUntraced(function* (
    options: FakeProviderOptions = {},
  ): Effect.fn.Return<ListeningProvider, never, Scope.Scope> {
    const { port: wantedPort = 0, jwksPath = "/jwks", issuerPath = "" } = options
    const { server, connections } = yield* listen(wantedPort)
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : wantedPort
    const origin = `http://127.0.0.1:${port}`
    const provider = yield* ReachableProvider.make(`${origin}${issuerPath}`, `${origin}${jwksPath}`, options).pipe(
      Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
    )
    const answering = yield* FiberSet.make<void>()

    server.on("request", (request, response) => {
      // Writing to a client that has left is no error of the test.
      response.on("error", () => {})
      const exchange = provider.receive({
        method: request.method ?? "GET",
        url: urlOf(request.url, origin),
        headers: headersOf(request.headers),
      })
      // A fresh context: delays take real time whatever clock the test runs on.
      const fiber = Effect.runFork(
        Effect.map(exchange.reply, (reply) => {
          if (reply._tag === "Refusal") exchange.ended(false)
          writeReply(response, reply)
        }),
      )
      FiberSet.addUnsafe(answering, fiber)
      response.once("close", () => {
        exchange.ended(!response.headersSent)
        fiber.interruptUnsafe()
      })
    })
    return Object.assign(provider, { port, connections })
  })

  /** One provider for a layer. */
  static readonly layer = (options?: FakeProviderOptions): Layer.Layer<FakeProvider> =>
    Layer.effect(FakeProvider, FakeProvider.make(options))
}
