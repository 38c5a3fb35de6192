/**
 * A real OpenID provider (npm `oidc-provider`) on a socket of this machine. Its JWKS gets what providers
 * put in front of it: `Cache-Control`, `ETag`, `Last-Modified` and 304. It can rotate its keys and go
 * down, and it counts what reaches its own socket.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { exportJWK, generateKeyPair, type JWK } from "jose"
import { createHash } from "node:crypto"
import { createServer, type RequestListener, type Server } from "node:http"
import type { Configuration, Provider } from "oidc-provider"

/** The one client of every provider; an application of each tenant asks with it. */
export const client = { id: "demo", secret: "demo-secret" }

type KoaContext = Parameters<Parameters<Provider["use"]>[0]>[0]

/** How an {@link Idp} misbehaves when the demo is told to break. */
export interface Sabotage {
  /** Answers conditional requests with the whole document. */
  ignoresConditions: boolean
  /** Signs with new keys, and publishes the old ones. */
  hidesNewKeys: boolean
}

export class Idp {
  /** Registered under this name. */
  readonly id: string
  readonly issuer: string
  readonly sabotage: Sabotage = { ignoresConditions: false, hidesNewKeys: false }
  /** Requests for the JWKS that reached the socket. */
  requests = 0
  /** Those that were answered with 304. */
  notModified = 0
  /** Connections that were reset during an outage. */
  resets = 0

  readonly #server: Server
  readonly #clock: Clock.Clock
  readonly #algorithm: "RS256" | "ES256"
  #isDown = false
  #listener: RequestListener = (_, response) => response.writeHead(503).end()
  /** Private keys, the one that signs first. */
  #keys: ReadonlyArray<JWK> = []
  #generations = 0
  /** The document that the JWKS shows, and since when. */
  #published: { readonly document: unknown; readonly at: number } | undefined

  private constructor(id: string, algorithm: "RS256" | "ES256", server: Server, clock: Clock.Clock) {
    const address = server.address()
    this.id = id
    this.issuer = `http://127.0.0.1:${typeof address === "object" ? address?.port : address}`
    this.#algorithm = algorithm
    this.#server = server
    this.#clock = clock
    server.on("connection", (socket) => {
      if (!this.#isDown) return
      this.resets += 1
      socket.resetAndDestroy()
    })
    server.on("request", (request, response) => {
      if (request.url === "/jwks") this.requests += 1
      if (request.url === "/counted") response.end(JSON.stringify(this.#counted))
      else this.#listener(request, response)
    })
  }

  /** Starts a provider on a free port of 127.0.0.1, for as long as the scope lives. */
  static readonly start = Effect.fnUntraced(function* (
    id: string,
    algorithm: "RS256" | "ES256",
    clock: Clock.Clock,
  ): Effect.fn.Return<Idp, never, Scope.Scope> {
    const server = yield* Effect.acquireRelease(listen, close)
    const idp = new Idp(id, algorithm, server, clock)
    yield* idp.rotate
    return idp
  })

  /** What it has counted at its socket, for whoever compares. */
  get #counted() {
    const { notModified, requests, resets } = this
    return { requests, notModified, resets }
  }

  get jwksUrl(): string {
    return `${this.issuer}/jwks`
  }

  /** Of the key that it signs with. */
  get kid(): string {
    return `${this.id}-key-${this.#generations}`
  }

  get tokenUrl(): string {
    return `${this.issuer}/token`
  }

  /** From now on every connection is reset, those that are open too. */
  readonly goDown: Effect.Effect<void> = Effect.sync(() => {
    this.#isDown = true
    this.#server.closeAllConnections()
  })

  readonly comeUp: Effect.Effect<void> = Effect.sync(() => {
    this.#isDown = false
  })

  /** Signs with a new key from now on; the key before it stays published, for the tokens that it signed. */
  readonly rotate: Effect.Effect<void> = Effect.promise(async () => {
    const { privateKey } = await generateKeyPair(this.#algorithm, { extractable: true })
    this.#generations += 1
    const key = { ...(await exportJWK(privateKey)), kid: this.kid, alg: this.#algorithm, use: "sig" }
    this.#keys = [key, ...this.#keys.slice(0, 1)]
    if (!this.sabotage.hidesNewKeys) this.#published = undefined
    const provider = await makeProvider(this.issuer, this.#configuration())
    provider.use(async (context, next) => {
      await next()
      if (context.path === "/jwks" && context.status === 200) this.#makeCacheable(context)
    })
    const callback = provider.callback()
    this.#listener = (request, response) => {
      callback(request, response).catch(() => response.destroy())
    }
  })

  /** What a provider's front does to the JWKS. */
  #makeCacheable(context: KoaContext): void {
    const now = this.#clock.currentTimeMillisUnsafe()
    this.#published ??= { document: context.body, at: now }
    context.body = this.#published.document
    context.set("date", new Date(now).toUTCString())
    context.set("cache-control", "public, max-age=60")
    context.lastModified = new Date(this.#published.at)
    context.etag = createHash("sha256").update(JSON.stringify(context.body)).digest("base64url")
    // Not Koa's `fresh`, which takes a request with `no-cache` for one that wants the whole document.
    if (context.get("if-none-match") !== context.response.get("etag") || this.sabotage.ignoresConditions) return
    context.status = 304
    this.notModified += 1
  }

  #configuration(): Configuration {
    const algorithm = this.#algorithm
    return {
      jwks: { keys: [...this.#keys] },
      clients: [
        {
          client_id: client.id,
          client_secret: client.secret,
          grant_types: ["client_credentials"],
          redirect_uris: [],
          response_types: [],
          id_token_signed_response_alg: algorithm,
        },
      ],
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          // A day, since the demo's clock runs ahead of the one that tokens are issued by.
          getResourceServerInfo: (_, audience) => ({
            audience,
            scope: "read",
            accessTokenFormat: "jwt",
            accessTokenTTL: 86_400,
            jwt: { sign: { alg: algorithm } },
          }),
        },
      },
      ttl: { ClientCredentials: (_, token) => token.resourceServer?.accessTokenTTL ?? 600 },
    }
  }
}

/** The package warns of Node versions that are no LTS yet and of storage in memory; nobody here needs either. */
export const makeProvider = async (issuer: string, configuration: Configuration): Promise<Provider> => {
  const { warn } = console
  console.warn = () => {}
  try {
    const { Provider } = await import("oidc-provider")
    return new Provider(issuer, configuration)
  } finally {
    console.warn = warn
  }
}

const listen = Effect.callback<Server>((resume) => {
  const server = createServer()
  server.once("error", (error) => resume(Effect.die(error)))
  server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
})

const close = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
