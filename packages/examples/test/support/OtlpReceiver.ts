/**
 * What an OpenTelemetry collector is to a program: takes OTLP over HTTP (JSON) on a free port, and keeps
 * what arrived. https://opentelemetry.io/docs/specs/otlp/
 */
import { once } from "node:events"
import { createServer } from "node:http"
import { json } from "node:stream/consumers"

/** One number of a metric, or how many a histogram holds. */
export interface Point {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly value: number
}

export interface ReceivedMetric {
  readonly name: string
  readonly description: string
  readonly unit: string
  readonly kind: "sum" | "gauge" | "histogram"
  /** Sums: only grows, and counts from the start of the process. */
  readonly isCounter: boolean
  readonly points: ReadonlyArray<Point>
}

export interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** Absent for a root span. */
  readonly parentSpanId?: string
  /** Spans of other traces that it is linked to. */
  readonly links: ReadonlyArray<string>
  readonly isClient: boolean
  readonly hasFailed: boolean
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface OtlpReceiver {
  readonly url: string
  /** `service.name` of all that arrived. */
  readonly services: ReadonlySet<unknown>
  /** The latest export of metrics, by name. */
  readonly metrics: ReadonlyMap<string, ReceivedMetric>
  readonly spans: ReadonlyArray<ReceivedSpan>
  /** Waits for the next export, whatever is in it. */
  readonly nextExport: () => Promise<void>
  readonly close: () => void
}

// The parts of the protocol that are read here.
interface KeyValue {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string; readonly boolValue?: boolean }
}
interface DataPoint {
  readonly attributes?: ReadonlyArray<KeyValue>
  readonly asDouble?: number
  readonly asInt?: number | string
  readonly count?: number | string
}
interface Metric {
  readonly name: string
  readonly description?: string
  readonly unit?: string
  readonly sum?: {
    readonly dataPoints: ReadonlyArray<DataPoint>
    readonly isMonotonic?: boolean
    readonly aggregationTemporality: number
  }
  readonly gauge?: { readonly dataPoints: ReadonlyArray<DataPoint> }
  readonly histogram?: { readonly dataPoints: ReadonlyArray<DataPoint> }
}
interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly kind?: number
  readonly status?: { readonly code?: number }
  readonly links?: ReadonlyArray<{ readonly spanId: string }>
  readonly attributes?: ReadonlyArray<KeyValue>
}
interface Resource {
  readonly attributes?: ReadonlyArray<KeyValue>
}
interface ExportRequest {
  readonly resourceMetrics?: ReadonlyArray<{
    readonly resource: Resource
    readonly scopeMetrics: ReadonlyArray<{ readonly metrics: ReadonlyArray<Metric> }>
  }>
  readonly resourceSpans?: ReadonlyArray<{
    readonly resource: Resource
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<Span>
    }>
  }>
}

const attributesOf = (pairs: ReadonlyArray<KeyValue> = []) =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? value.boolValue]))

const cumulative = 2
const kindClient = 3
const statusError = 2

const receivedSpan = ({
  attributes,
  kind,
  links = [],
  name,
  parentSpanId,
  spanId,
  status,
  traceId,
}: Span): ReceivedSpan => ({
  name,
  traceId,
  spanId,
  // Some exporters write none as an empty text.
  ...(parentSpanId !== undefined && parentSpanId !== "" && { parentSpanId }),
  links: links.map((link) => link.spanId),
  isClient: kind === kindClient,
  hasFailed: status?.code === statusError,
  attributes: attributesOf(attributes),
})

const received = ({ description = "", gauge, histogram, name, sum, unit = "" }: Metric): ReceivedMetric => ({
  name,
  description,
  unit,
  kind: sum === undefined ? (gauge === undefined ? "histogram" : "gauge") : "sum",
  isCounter: sum?.isMonotonic === true && sum.aggregationTemporality === cumulative,
  points:
    (sum ?? gauge ?? histogram)?.dataPoints.map(({ asDouble, asInt, attributes, count }) => ({
      attributes: attributesOf(attributes),
      value: Number(asDouble ?? asInt ?? count),
    })) ?? [],
})

/** Listens on a free loopback port. */
export const startOtlpReceiver = async (): Promise<OtlpReceiver> => {
  const services = new Set<unknown>()
  const spans: Array<ReceivedSpan> = []
  let metrics: ReadonlyMap<string, ReceivedMetric> = new Map()
  let arrived = Promise.withResolvers<void>()

  const take = ({ resourceMetrics = [], resourceSpans = [] }: ExportRequest): void => {
    for (const { resource } of [...resourceMetrics, ...resourceSpans]) {
      services.add(attributesOf(resource.attributes)["service.name"])
    }
    const all = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    if (all.length > 0) metrics = new Map(all.map((metric) => [metric.name, received(metric)]))
    for (const { scopeSpans } of resourceSpans) {
      spans.push(...scopeSpans.flatMap((scope) => scope.spans.map(receivedSpan)))
    }
    const before = arrived
    arrived = Promise.withResolvers<void>()
    before.resolve()
  }

  const server = createServer((request, response) => {
    const isOtlp = request.method === "POST" && /^\/v1\/(metrics|traces|logs)$/.test(request.url ?? "")
    const isJson = request.headers["content-type"]?.startsWith("application/json") === true
    if (!isOtlp || !isJson) {
      response.writeHead(isOtlp ? 415 : 404).end()
      return
    }
    json(request).then(
      (body) => {
        take(body as ExportRequest)
        response.writeHead(200, { "content-type": "application/json" }).end("{}")
      },
      () => response.writeHead(400).end(),
    )
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    services,
    get metrics() {
      return metrics
    },
    spans,
    nextExport: () => arrived.promise,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
