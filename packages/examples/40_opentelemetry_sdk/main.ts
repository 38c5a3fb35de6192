/**
 * Metrics and traces for an OpenTelemetry collector through OpenTelemetry's own SDK, for processes that
 * have it anyway: its exporters, processors and samplers work as ever.
 *
 *     node packages/examples/40_opentelemetry_sdk/main.ts
 *
 * `OTEL_EXPORTER_OTLP_ENDPOINT` is where the collector is, http://localhost:4318 where nothing is said.
 */
import { NodeJwks } from "@effect-jwks/node"
import * as NodeSdk from "@effect/opentelemetry/NodeSdk" // by its own path: the index wants the web SDK too
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics"
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { logins } from "../20_prometheus/logins.ts"

const Telemetry = NodeSdk.layer(() => ({
  resource: { serviceName: "shop", serviceVersion: "1.0.0" },
  spanProcessor: new BatchSpanProcessor(new OTLPTraceExporter(), { scheduledDelayMillis: 1_000 }),
  // So that a reader of this need not wait; a minute is the default.
  metricReader: new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 1_000 }),
}))

const JwksLive = NodeJwks.layer({ requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] })

// Under the registry, not beside it: what it does in the background is traced in its own context.
NodeRuntime.runMain(Effect.provide(logins, Layer.provideMerge(JwksLive, Telemetry)))
