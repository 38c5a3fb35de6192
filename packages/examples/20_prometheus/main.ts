/**
 * Metrics for Prometheus: one layer serves them.
 *
 *     node packages/examples/20_prometheus/main.ts
 *     curl http://127.0.0.1:9464/metrics
 *
 * `PORT` is another port, 0 a free one.
 */
import { NodeJwks } from "@effect-jwks/node"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { createServer } from "node:http"
import { logins } from "./logins.ts"

const JwksLive = NodeJwks.layer({ requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] })

/** In an application the line `PrometheusMetrics.layerHttp()` goes beside its other routes. */
const MetricsServer = HttpRouter.serve(PrometheusMetrics.layerHttp(), { disableLogger: true }).pipe(
  Layer.provide(
    NodeHttpServer.layerConfig(createServer, {
      host: Config.succeed("127.0.0.1"),
      port: Config.Int("PORT").pipe(Config.withDefault(9464)),
    }),
  ),
)

NodeRuntime.runMain(Effect.provide(logins, Layer.merge(JwksLive, MetricsServer)))
