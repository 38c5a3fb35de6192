/**
 * A registry whose metrics are served on a socket, on a clock that a test moves ahead, with a metric registry
 * of its own.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Persistence from "effect/persistence/Persistence"
import * as References from "effect/References"
import { createServer } from "node:http"
import { DemoClock } from "../../10_demo/clock.ts"

const JwksLive = JwksRegistry.layer({
  requireHttps: false,
  allowPrivateAddresses: ["127.0.0.1"],
  // Each flight is one request, so that the provider's count is the registry's.
  defaults: { requireHttps: false, prefetchJitter: 0, retryPolicy: { maxRetries: 0 } },
}).pipe(Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layer]))

const MetricsServer = HttpRouter.serve(PrometheusMetrics.layerHttp(), {
  disableLogger: true,
  disableListenLog: true,
}).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })))

export interface Watched {
  readonly clock: DemoClock
  /** Where the metrics are, as `host:port`. */
  readonly target: string
}

/** Runs a program with the registry; whatever it leaves is gone afterwards. */
export const withWatchedRegistry = <A, E>(
  program: (watched: Watched) => Effect.Effect<A, E, JwksRegistry>,
): Effect.Effect<A> =>
  Effect.suspend(() => {
    const clock = new DemoClock()
    return Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      const port = "port" in address ? address.port : 0
      return yield* program({ clock, target: `127.0.0.1:${port}` })
    }).pipe(
      Effect.provide(Layer.fresh(Layer.merge(JwksLive, MetricsServer))),
      Effect.provideService(Clock.Clock, clock),
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.orDie,
    )
  })
