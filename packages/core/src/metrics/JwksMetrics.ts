/**
 * Metrics of the registry as plain functions, with a layer on Effect's `Metric` and one that does
 * nothing.
 *
 * **Details**
 *
 * Counters and gauges are numbers that the cache keeps anyway; a series reads them when somebody reads
 * the metric registry, so a hit pays for no metric. Series with the same labels are summed, and keep the
 * counts of providers that have gone as long as the series lives.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"

/** What a provider counts, as of now. */
export interface ProviderReading {
  readonly hits: number
  readonly misses: number
  readonly stale: number
  readonly refreshes: number
  readonly notModified: number
  readonly unknownKids: number
  /** Usable keys held. */
  readonly keys: number
  /** When the held set's lifetime ends (epoch milliseconds); 0 without one. */
  readonly expiresAt: number
  /** Failed flights by the tag of their reason. */
  readonly refreshErrors: ReadonlyMap<string, number>
}

/** What a registry counts that belongs to no provider, as of now. */
export interface RegistryReading {
  /** Snapshots written or removed. */
  readonly writes: number
  /** Tries to write or remove that failed. */
  readonly writeErrors: number
  readonly readErrors: number
  /** Sets that came back. */
  readonly restored: number
  /** Stored snapshots that were not used. */
  readonly ignored: number
  /** What is still to be written or removed. */
  readonly unwritten: number
  /** Events that subscribers of the stream have lost. */
  readonly eventsDropped: number
}

/** Labels of a provider's series; empty when the registry's `metricLabels` is `"none"`. */
export type ProviderLabels = { readonly tenant: string; readonly provider: string } | Readonly<Record<string, never>>

/** The series of one provider. */
export interface ProviderMetrics {
  /** A flight ended after so many seconds. */
  readonly flightEnded: (seconds: number) => void
  /** A flight failed for a reason (its tag) that may be new. */
  readonly failedFor: (reason: string) => void
  /** The provider is gone. */
  readonly close: () => void
}

/** Where the registry hands its numbers over. */
export class JwksMetrics extends Context.Service<
  JwksMetrics,
  {
    /** Opens the series of a provider; `read` is called whenever somebody reads the metrics. */
    readonly open: (labels: ProviderLabels, read: () => ProviderReading) => ProviderMetrics
    /** Opens the series of a registry; what it answers with ends them. */
    readonly openRegistry: (read: () => RegistryReading) => () => void
  }
>()("@effect-jwks/core/JwksMetrics") {
  /** Hands the numbers to Effect's metric registry, as found in the context of the layer. */
  static readonly layer: Layer.Layer<JwksMetrics> = Layer.effect(
    JwksMetrics,
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const registry = Context.get(context, Metric.MetricRegistry)
      const groups = groupsOf.get(registry) ?? new Map<string, SeriesGroup>()
      groupsOf.set(registry, groups)
      const holder = {}
      const held = new Set<SeriesGroup>()
      yield* Effect.addFinalizer(() => Effect.sync(() => held.forEach((group) => group.release(holder))))
      return {
        open: (labels, read) => {
          const id = JSON.stringify([labels["tenant"], labels["provider"]])
          const group = groups.get(id) ?? new SeriesGroup(context, labels, () => groups.delete(id))
          groups.set(id, group)
          held.add(group)
          return group.add(read, holder)
        },
        openRegistry: (read) => openRegistry(context, read),
      }
    }),
  )

  /** Measures nothing. */
  static readonly layerNoop: Layer.Layer<JwksMetrics> = Layer.succeed(JwksMetrics, {
    open: () => ({ flightEnded: () => {}, failedFor: () => {}, close: () => {} }),
    openRegistry: () => () => {},
  })
}

/**
 * The unit of a series, in UCUM, as exporters look for it: Effect's Prometheus text leaves this attribute
 * out, OpenTelemetry gets it as the metric's unit. Without one a gauge counts as a ratio, and collectors
 * then put `_ratio` behind its name.
 */
const unitOf = (unit: string) => ({ unit })

// -----------------------------------------------------------------------------
// Registries
// -----------------------------------------------------------------------------

const registryCounters: ReadonlyArray<Counter<RegistryReading>> = [
  {
    id: "jwks_cache_snapshot_writes_total",
    description: "Snapshots written or removed.",
    value: ({ writes }) => writes,
  },
  {
    id: "jwks_cache_snapshot_write_errors_total",
    description: "Tries to write or remove a snapshot that failed.",
    value: ({ writeErrors }) => writeErrors,
  },
  {
    id: "jwks_cache_snapshot_read_errors_total",
    description: "Snapshots that the store did not give.",
    value: ({ readErrors }) => readErrors,
  },
  {
    id: "jwks_cache_snapshot_restored_total",
    description: "Sets that came back from their snapshot.",
    value: ({ restored }) => restored,
  },
  {
    id: "jwks_cache_snapshot_ignored_total",
    description: "Stored snapshots that were not used.",
    value: ({ ignored }) => ignored,
  },
  {
    id: "jwks_cache_events_dropped_total",
    description: "Events that slow subscribers of the event stream have lost.",
    value: ({ eventsDropped }) => eventsDropped,
  },
]

/** Who reads a metric registry's series of registries of keys, and what those counted that have gone. */
class RegistrySeries {
  readonly #readers = new Set<() => RegistryReading>()
  readonly #gone = new Map<string, number>()
  readonly #registrations: ReadonlyArray<Metric.Registration>

  constructor(context: Context.Context<never>) {
    const unwritten = Metric.gauge("jwks_cache_snapshot_unwritten", {
      description: "Snapshots that are still to be written or removed.",
      attributes: unitOf("{snapshot}"),
    })
    this.#registrations = [
      ...registryCounters.map(({ description, id, value }) =>
        register(context, Metric.counter(id, { description, incremental: true }), () => ({
          count: (this.#gone.get(id) ?? 0) + this.#sum(value),
          incremental: true,
        })),
      ),
      register(context, unwritten, () => ({ value: this.#sum((reading) => reading.unwritten) })),
    ]
  }

  add(read: () => RegistryReading): void {
    this.#readers.add(read)
  }

  /** Whether nobody is left, so that the series have ended. */
  remove(read: () => RegistryReading): boolean {
    const reading = read()
    for (const { id, value } of registryCounters) this.#gone.set(id, (this.#gone.get(id) ?? 0) + value(reading))
    this.#readers.delete(read)
    if (this.#readers.size > 0) return false
    for (const registration of this.#registrations) registration.remove()
    return true
  }

  #sum(value: (reading: RegistryReading) => number): number {
    return Array.from(this.#readers).reduce((total, read) => total + value(read()), 0)
  }
}

/** Without labels: all registries of keys that share a metric registry share these series. */
const registrySeriesOf = new WeakMap<object, RegistrySeries>()

const openRegistry = (context: Context.Context<never>, read: () => RegistryReading): (() => void) => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const series = registrySeriesOf.get(registry) ?? new RegistrySeries(context)
  registrySeriesOf.set(registry, series)
  series.add(read)
  return () => {
    if (series.remove(read)) registrySeriesOf.delete(registry)
  }
}

/**
 * The series of each metric registry: several registries of keys may share one, and then they share the
 * series of equal labels too.
 */
const groupsOf = new WeakMap<object, Map<string, SeriesGroup>>()

/** A counter, and what of a reading it counts. */
interface Counter<Reading> {
  readonly id: string
  readonly description: string
  readonly value: (reading: Reading) => number
}

/** Registers a series whose state is read when somebody reads the metrics. */
const register = <State>(
  context: Context.Context<never>,
  metric: Metric.Metric<never, State>,
  get: () => State,
): Metric.Registration => Metric.registerUnsafe(metric, context, { get, update: () => {}, modify: () => {} })

const counters: ReadonlyArray<Counter<ProviderReading>> = [
  {
    id: "jwks_cache_requests_total",
    description: "Resolves that asked this provider.",
    value: ({ hits, misses }) => hits + misses,
  },
  {
    id: "jwks_cache_hits_total",
    description: "Resolves answered from the held set at once.",
    value: ({ hits }) => hits,
  },
  {
    id: "jwks_cache_misses_total",
    description: "Resolves that were not answered from the held set at once.",
    value: ({ misses }) => misses,
  },
  {
    id: "jwks_cache_stale_total",
    description: "Resolves answered from a set past its lifetime.",
    value: ({ stale }) => stale,
  },
  {
    id: "jwks_cache_refresh_total",
    description: "Refreshes that ended, well or not.",
    value: ({ refreshes }) => refreshes,
  },
  {
    id: "jwks_cache_not_modified_total",
    description: "Refreshes that the provider answered with 304.",
    value: ({ notModified }) => notModified,
  },
  {
    id: "jwks_cache_unknown_kid_total",
    description: "Resolves for a kid that a usable set lacks.",
    value: ({ unknownKids }) => unknownKids,
  },
]

const durationBoundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** All providers that share one set of labels. */
class SeriesGroup {
  /** Who reads, and for which layers: those that share what is counted read it once. */
  readonly #readers = new Map<() => ProviderReading, Array<object>>()
  /** What readers that have gone had counted, in case they come back with it. */
  readonly #left = new WeakMap<() => ProviderReading, ReadonlyMap<string, number>>()
  /** Layers that hold series without labels. */
  readonly #holders = new Set<object>()
  #isOver = false
  /** What providers counted that have gone, as long as others of the group live on. */
  readonly #gone = new Map<string, number>()
  readonly #registrations: Array<Metric.Registration> = []
  readonly #reasons = new Set<string>()
  readonly #context: Context.Context<never>
  readonly #attributes: Readonly<Record<string, string>>
  readonly #onEmpty: () => void
  readonly #duration: Metric.Histogram<number>

  constructor(context: Context.Context<never>, labels: ProviderLabels, onEmpty: () => void) {
    this.#context = context
    this.#attributes = { ...labels }
    this.#onEmpty = onEmpty
    for (const counter of counters) this.#counter(counter, counter.id, this.#attributes)
    this.#gauge("jwks_cache_keys", "{key}", "Usable keys held.", () => this.#sum((reading) => reading.keys))
    this.#gauge(
      "jwks_cache_expires_at_seconds",
      "s",
      "When the held set's lifetime ends, in Unix seconds; 0 without a set, the earliest where providers share the series.",
      () => {
        const times = this.#readAll().flatMap(({ expiresAt }) => (expiresAt > 0 ? [expiresAt / 1_000] : []))
        return times.length === 0 ? 0 : Math.min(...times)
      },
    )
    this.#duration = Metric.histogram("jwks_cache_refresh_duration_seconds", {
      description: "How long refreshes took, in seconds.",
      boundaries: durationBoundaries,
      attributes: { ...this.#attributes, ...unitOf("s") },
    })
  }

  add(read: () => ProviderReading, holder: object): ProviderMetrics {
    const owners = this.#readers.get(read)
    if (owners === undefined) {
      this.#readers.set(read, [holder])
      for (const [name, value] of this.#left.get(read) ?? []) this.#retain(name, -value)
      this.#left.delete(read)
    } else {
      owners.push(holder)
    }
    if (this.#isSummed) this.#holders.add(holder)
    for (const reason of read().refreshErrors.keys()) this.#openReason(reason)
    return {
      flightEnded: (seconds) => this.#duration.updateUnsafe(seconds, this.#context),
      failedFor: (reason) => this.#openReason(reason),
      close: () => this.#remove(read, holder),
    }
  }

  /** The layer that `holder` stands for is gone. */
  release(holder: object): void {
    this.#holders.delete(holder)
    for (const [read, owners] of this.#readers) {
      while (owners.includes(holder)) this.#remove(read, holder)
    }
    this.#endIfEmpty()
  }

  #remove(read: () => ProviderReading, holder: object): void {
    const owners = this.#readers.get(read)
    const at = owners?.indexOf(holder) ?? -1
    if (owners === undefined || at < 0) return
    owners.splice(at, 1)
    if (owners.length > 0) return
    this.#readers.delete(read)
    // Series that live on never count backwards.
    const reading = read()
    const left = new Map([
      ...counters.map(({ id, value }): [string, number] => [id, value(reading)]),
      ...Array.from(reading.refreshErrors, ([reason, count]): [string, number] => [`error:${reason}`, count]),
    ])
    for (const [name, value] of left) this.#retain(name, value)
    this.#left.set(read, left)
    this.#endIfEmpty()
  }

  /** Labelled series end with their last provider, those without labels with the last layer that counts in them. */
  #endIfEmpty(): void {
    if (this.#readers.size > 0 || this.#holders.size > 0 || this.#isOver) return
    this.#isOver = true
    for (const registration of this.#registrations) registration.remove()
    Metric.removeUnsafe(this.#duration, this.#context)
    this.#onEmpty()
  }

  #retain(name: string, value: number): void {
    this.#gone.set(name, (this.#gone.get(name) ?? 0) + value)
  }

  #openReason(reason: string): void {
    if (this.#reasons.has(reason)) return
    this.#reasons.add(reason)
    this.#counter(
      {
        id: "jwks_cache_refresh_errors_total",
        description: "Refreshes that failed, by reason.",
        value: ({ refreshErrors }) => refreshErrors.get(reason) ?? 0,
      },
      `error:${reason}`,
      { ...this.#attributes, reason },
    )
  }

  /** `name` is what the counts of providers that have gone are kept under. */
  #counter(
    { description, id, value }: Counter<ProviderReading>,
    name: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    const metric = Metric.counter(id, { description, attributes, incremental: true })
    this.#registrations.push(
      register(this.#context, metric, () => ({
        count: (this.#gone.get(name) ?? 0) + this.#sum(value),
        incremental: true,
      })),
    )
  }

  #gauge(id: string, unit: string, description: string, value: () => number): void {
    const metric = Metric.gauge(id, { description, attributes: { ...this.#attributes, ...unitOf(unit) } })
    this.#registrations.push(register(this.#context, metric, () => ({ value: value() })))
  }

  get #isSummed(): boolean {
    return !("tenant" in this.#attributes)
  }

  #readAll(): ReadonlyArray<ProviderReading> {
    return Array.from(this.#readers.keys(), (read) => read())
  }

  #sum(value: (reading: ProviderReading) => number): number {
    return this.#readAll().reduce((sum, reading) => sum + value(reading), 0)
  }
}
