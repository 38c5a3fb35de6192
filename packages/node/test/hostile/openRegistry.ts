/**
 * The registry of one case, over the transport that the case asks for.
 */
import {
  type InvalidRegistration,
  JwksMetrics,
  JwksRegistry,
  type JwksRegistryOptions,
  type JwksRegistryService,
} from "@effect-jwks/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import type * as Scope from "effect/Scope"
import { NodeJwksHttp, type NodeJwksHttpOptions } from "../../src/index.ts"
import * as Authorities from "./Authorities.ts"
import type { HostileCase } from "./HostileCase.ts"
import type { Servers } from "./Servers.ts"

/** Hosts that may be reached on loopback; the cases are about other guards. */
const exempt = ["idp.test", "other.test", "127.0.0.1"]

/** Opens it for as long as the scope lives. */
export const openRegistry = (
  hostile: HostileCase,
  servers: Servers,
): Effect.Effect<JwksRegistryService, never, Scope.Scope> => {
  const given: JwksRegistryOptions =
    typeof hostile.options === "function" ? hostile.options(servers) : (hostile.options ?? {})
  const options: JwksRegistryOptions = {
    requireHttps: false,
    allowPrivateAddresses: hostile.via === "proxy" ? false : exempt,
    ...given,
    defaults: {
      requireHttps: false,
      warm: false,
      retryPolicy: { maxRetries: 0, attemptTimeout: "2 seconds", deadline: "4 seconds" },
      ...given.defaults,
    },
  }
  return Layer.build(
    JwksRegistry.layer(options).pipe(
      Layer.provide([
        clientLayer(hostile, servers),
        Persistence.layerMemory,
        JwksMetrics.layerNoop,
        ...(hostile.requestInit === undefined ? [] : [Layer.succeed(FetchHttpClient.RequestInit, hostile.requestInit)]),
      ]),
    ),
  ).pipe(
    Effect.map((context) => Context.get(context, JwksRegistry)),
    Effect.orDie,
  )
}

const clientLayer = (
  hostile: HostileCase,
  servers: Servers,
): Layer.Layer<HttpClient.HttpClient, InvalidRegistration> => {
  const given = typeof hostile.http === "function" ? hostile.http(servers) : hostile.http
  const options: NodeJwksHttpOptions = {
    ca: [Authorities.root().pem, Authorities.otherRoot().pem],
    defaultRoots: false,
    // Every name is this machine.
    lookup: (_hostname, _options, callback) =>
      queueMicrotask(() => callback(null, [{ address: "127.0.0.1", family: 4 }])),
    keepAlive: hostile.keepsAlive === true ? "10 seconds" : "1 millis",
    ...(hostile.via === "proxy" && { proxy: { url: `http://127.0.0.1:${servers.proxyPort}` } }),
    ...given,
  }
  const client: Layer.Layer<HttpClient.HttpClient, InvalidRegistration> =
    hostile.via === "fetch" ? FetchHttpClient.layer : NodeJwksHttp.layer(options)
  const { wrap } = hostile
  if (wrap === undefined) return client
  // What the transport's layer says beside its client stays.
  return Layer.effectContext(
    Effect.map(Layer.build(client), (context) =>
      Context.add(context, HttpClient.HttpClient, wrap(Context.get(context, HttpClient.HttpClient))),
    ),
  )
}
