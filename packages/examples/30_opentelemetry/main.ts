/**
 * Metrics, traces and logs for an OpenTelemetry collector, with what Effect brings: one layer, no SDK.
 *
 *     node packages/examples/30_opentelemetry/main.ts
 *
 * `OTEL_EXPORTER_OTLP_ENDPOINT` is where the collector is, http://localhost:4318 where nothing is said.
 */
import { NodeJwks } from "@effect-jwks/node"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Otlp from "effect/observability/Otlp"
import { logins } from "../20_prometheus/logins.ts"

const endpoint = Config.String("OTEL_EXPORTER_OTLP_ENDPOINT").pipe(Config.withDefault("http://localhost:4318"))

const Telemetry = Layer.unwrap(
  Effect.map(endpoint, (baseUrl) =>
    Otlp.layerJson({
      baseUrl,
      resource: { serviceName: "shop", serviceVersion: "1.0.0" },
      metricsExportInterval: "1 second", // so that a reader of this need not wait; 10 seconds are the default
      tracerExportInterval: "1 second",
    }),
  ),
).pipe(Layer.provide(FetchHttpClient.layer))

const JwksLive = NodeJwks.layer({ requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] })

// Under the registry, not beside it: what it does in the background is traced in its own context.
NodeRuntime.runMain(Effect.provide(logins, Layer.provideMerge(JwksLive, Telemetry)))
