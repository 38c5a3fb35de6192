/**
 * What the tests share: the API over a registry, asked in memory as a server would ask it.
 */
import { assert } from "@effect/vitest"
import { JwksAdmin, type JwksAdminOptions } from "@effect-jwks/admin"
import {
  type JwksEvent,
  JwksMetrics,
  JwksRegistry,
  type JwksRegistryService,
  NotRegistered,
  type ProviderStatus,
} from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Persistence from "effect/persistence/Persistence"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

export const token = "a-token-that-nobody-guesses"
export const wrongToken = "a-token-that-somebody-guessed"

/** How a route is asked. */
export interface Question {
  readonly method?: string
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
}

/** Lets every fiber and every promise that is ready run; no time passes. */
export const settle = Effect.promise(async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
})

/** The API at its path over this registry, for as long as the scope lives. */
export const openAdminOn = Effect.fnUntraced(function* (
  registry: JwksRegistryService,
  options: JwksAdminOptions = { token },
) {
  const router = yield* HttpRouter.make
  yield* Layer.build(
    JwksAdmin.routes(options).pipe(
      Layer.provide([Layer.succeed(HttpRouter.HttpRouter, router), Layer.succeed(JwksRegistry, registry)]),
    ),
  )
  // With the test's clock.
  const context = yield* Effect.context<never>()
  const handler = HttpEffect.toWebHandler(router.asHttpEffect())
  const ask = (path: string, { headers = {}, method = "GET", token: borne = token }: Question = {}) =>
    Effect.promise(() =>
      handler(
        new Request(`http://admin.test${path}`, {
          method,
          headers: { ...headers, ...(borne !== "" && { authorization: `Bearer ${borne}` }) },
        }),
        context,
      ),
    )
  /** The JSON of an answer with status 200. */
  const json = <A>(path: string, question?: Question) =>
    Effect.flatMap(ask(path, question), (response) => {
      assert.strictEqual(response.status, 200, path)
      return Effect.promise(async () => (await response.json()) as A)
    })
  return { router, ask, json }
})

/** The API over a registry of its own, with a provider on the test's clock. */
export const openAdmin = Effect.fnUntraced(function* (options?: JwksAdminOptions) {
  const idp = yield* ScriptedProvider.make({ response: { cacheControl: "max-age=600" } })
  const context = yield* Layer.build(
    JwksRegistry.layer({ requireHttps: false, allowPrivateAddresses: true }).pipe(
      Layer.provide([Persistence.layerMemory, JwksMetrics.layer, ScriptedProvider.layerClient(idp)]),
    ),
  )
  const registry = Context.get(context, JwksRegistry)
  const admin = yield* openAdminOn(registry, options)
  const register = (provider: string, tenant = "acme") =>
    registry.register({ tenant, provider, jwksUrl: `${idp.jwksUrl}?secret=query`, requireHttps: false })
  return { ...admin, idp, registry, register }
})

/** Metrics of this test alone. */
export const ownMetrics = Effect.provideServiceEffect(
  Metric.MetricRegistry,
  Effect.sync(() => new Map()),
)

/** A registry that is told what to say. */
export const toldRegistry = Effect.fnUntraced(function* (statuses: ReadonlyArray<ProviderStatus> = []) {
  const events = yield* Queue.unbounded<JwksEvent>()
  const context = yield* Layer.build(
    Layer.mock(JwksRegistry)({
      allStatuses: Effect.succeed(statuses),
      providerStatus: (tenant, provider) => {
        const found = statuses.find((status) => status.tenant === tenant && status.provider === provider)
        return found === undefined ? Effect.fail(new NotRegistered({ tenant, provider })) : Effect.succeed(found)
      },
      events: Stream.fromQueue(events),
    }),
  )
  return {
    registry: Context.get(context, JwksRegistry),
    tell: (...said: ReadonlyArray<JwksEvent>) => Effect.andThen(Queue.offerAll(events, said), settle),
  }
})

/** A status with what matters to a test. */
export const statusOf = (given: Partial<ProviderStatus> = {}): ProviderStatus => ({
  tenant: "acme",
  provider: "idp",
  url: "https://idp.test/jwks",
  state: "Ready",
  usable: true,
  freshness: "fresh",
  keys: [],
  dropped: [],
  requests: 0,
  hits: 0,
  misses: 0,
  stale: 0,
  refreshes: 0,
  refreshErrors: 0,
  notModified: 0,
  hitRatio: 0,
  ...given,
})

/** The failure of a provider that answers 503. */
const failure = (count = 1): NonNullable<ProviderStatus["failure"]> => ({
  reason: { _tag: "HttpStatus", url: "https://idp.test/jwks", status: 503 },
  at: 1_000,
  count,
  nextAttemptAt: 2_000,
})

/** A provider that can not answer, and whose last flight failed. */
export const failedStatus = ({ freshness: _, ...status }: ProviderStatus, count = 1): ProviderStatus => ({
  ...status,
  state: "Empty",
  usable: false,
  failure: failure(count),
})

/** An event of a provider. */
export const registered = (provider: string, time = 0): JwksEvent => ({
  _tag: "ProviderRegistered",
  url: "https://idp.test/jwks",
  replaced: false,
  tenant: "acme",
  provider,
  time,
})
