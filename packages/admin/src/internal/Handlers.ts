/**
 * What the definition's routes do: read the registry and the timeline, and hand over what is decided elsewhere.
 */
import { JwksRegistry } from "@effect-jwks/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Stream from "effect/Stream"
import { ProviderNotRegistered, ProviderUnavailable } from "../AdminErrors.ts"
import type { ReadinessPolicy } from "../AdminOptions.ts"
import { JwksAdminApi } from "../JwksAdminApi.ts"
import { eventStream, idOf } from "./EventStream.ts"
import { pageOf } from "./ProviderList.ts"
import { readinessOf } from "./Readiness.ts"
import { detailOf } from "./Summary.ts"
import { Timeline } from "./Timeline.ts"

/** Events that a provider's detail holds. */
const eventsOfOne = 50

const read = HttpApiBuilder.group(
  JwksAdminApi,
  "read",
  Effect.fnUntraced(function* (handlers) {
    const registry = yield* JwksRegistry
    const timeline = yield* Timeline
    return handlers.handleAll({
      providers: ({ query }) =>
        Effect.gen(function* () {
          return pageOf(yield* registry.allStatuses, query, yield* Clock.currentTimeMillis)
        }),
      provider: ({ params: { provider, tenant } }) =>
        registry.providerStatus(tenant, provider).pipe(
          Effect.mapError(({ message }) => new ProviderNotRegistered({ message, tenant, provider })),
          Effect.flatMap((status) =>
            Effect.map(Clock.currentTimeMillis, (now) =>
              detailOf(
                now,
                status,
                timeline.failuresOf(tenant, provider),
                timeline.newest(eventsOfOne, undefined, (e) => e.tenant === tenant && e.provider === provider),
              ),
            ),
          ),
        ),
      events: ({ query: { before, limit = 100 } }) =>
        Effect.sync(() => ({ items: timeline.newest(limit, before), dropped: timeline.dropped })),
      stream: ({ headers, query: { after } }) =>
        Effect.map(Effect.context<never>(), (context) =>
          HttpServerResponse.stream(
            // The body is read where the request is no more: its clock goes with it.
            Stream.provideContext(eventStream(timeline, idOf(headers["last-event-id"]) ?? after), context),
            {
              contentType: "text/event-stream",
              // Proxies that collect answers would hold events back.
              headers: { "x-accel-buffering": "no" },
            },
          ),
        ),
    })
  }),
)

const mutations = HttpApiBuilder.group(
  JwksAdminApi,
  "mutations",
  Effect.fnUntraced(function* (handlers) {
    const registry = yield* JwksRegistry
    return handlers.handleAll({
      refresh: ({ params: { provider, tenant } }) =>
        registry.refresh(tenant, provider).pipe(
          Effect.catchTags({
            NotRegistered: ({ message }) => Effect.fail(new ProviderNotRegistered({ message, tenant, provider })),
            JwksUnavailable: ({ message, reason, retryAfterMillis }) =>
              Effect.fail(
                new ProviderUnavailable({
                  message,
                  tenant,
                  provider,
                  reason,
                  ...(retryAfterMillis !== undefined && { retryAfterMillis }),
                }),
              ),
          }),
        ),
    })
  }),
)

const health = (policy: ReadinessPolicy) =>
  HttpApiBuilder.group(
    JwksAdminApi,
    "health",
    Effect.fnUntraced(function* (handlers) {
      const registry = yield* JwksRegistry
      return handlers.handleAll({
        live: () => Effect.succeed({ alive: true as const }),
        ready: () => readinessOf(registry, policy),
      })
    }),
  )

const metrics = HttpApiBuilder.group(
  JwksAdminApi,
  "metrics",
  Effect.fnUntraced(function* (handlers) {
    // The metric registry of the layer, as `JwksMetrics.layer` beside it has it, not that of whoever serves.
    const context = yield* Effect.context<never>()
    return handlers.handleAll({
      prometheus: () => Effect.sync(() => PrometheusMetrics.formatUnsafe(context)),
    })
  }),
)

/** The routes of the definition. */
export const handlersLayer = (policy: ReadinessPolicy) => Layer.mergeAll(read, mutations, health(policy), metrics)
