/**
 * What a `JwksMemory` holds: each provider's place by tenant, and what was made of options and registrations, so
 * that a registry for one request need not make it again.
 */
import type * as Exit from "effect/Exit"
import type { JwksMemory } from "../JwksMemory.ts"
import type { SnapshotSeal } from "../persistence/SnapshotSeal.ts"
import type { Provider } from "../Provider.ts"
import type { RegisteredProvider } from "../Resolved.ts"
import type { ResolvedOptions } from "../registration/Registration.ts"
import type { UrlPolicy } from "../security/UrlPolicy.ts"
import type { HitSlot } from "./HitSlot.ts"
import type { ProviderMemory } from "./ProviderMemory.ts"

/** A provider as it is registered, and what is known of it. */
export interface Place {
  readonly provider: Provider
  readonly policy: UrlPolicy
  readonly memory: ProviderMemory
}

/** A tenant's providers in order of registration. */
export interface Tenant {
  readonly entries: Map<string, Place>
  /** What is registered, as those who ask are answered. */
  registered: Exit.Exit<ReadonlyArray<RegisteredProvider>>
}

/** Who is registered, and where hits are answered. */
export interface Directory {
  readonly tenants: Map<string, Tenant>
  /** Tenants with a single provider, for the hit path: the whole look-up of a hit is this map and its kids. */
  readonly slots: Map<string, HitSlot>
}

/** What was made of the options of a registry; nobody changes its directory. */
export interface Prepared {
  readonly options: ResolvedOptions
  readonly seal: SnapshotSeal
  /** Good for as long as no place that it shows was given to another. */
  readonly directory: Directory
  readonly generation: number
}

export class SharedMemory {
  readonly #tenants = new Map<string, Map<string, Place>>()
  readonly #prepared = new WeakMap<object, Prepared>()
  readonly #checked = new WeakMap<object, { readonly by: ResolvedOptions; readonly provider: Provider }>()
  /** How often a place was given to another, or to none. */
  #generation = 0

  get generation(): number {
    return this.#generation
  }

  /** The place of a provider, whichever request registered it. */
  placeOf(tenant: string, provider: string): Place | undefined {
    return this.#tenants.get(tenant)?.get(provider)
  }

  /** The names of a tenant's providers. */
  providersOf(tenant: string): ReadonlyArray<string> {
    return Array.from(this.#tenants.get(tenant)?.keys() ?? [])
  }

  /** Gives a provider's place to `place`. */
  put(place: Place): void {
    const { provider, tenant } = place.provider
    const places = this.#tenants.get(tenant) ?? new Map<string, Place>()
    this.#tenants.set(tenant, places)
    this.#leave(places.get(provider))
    places.set(provider, place)
  }

  /** Forgets a provider. */
  remove(tenant: string, provider: string): void {
    const places = this.#tenants.get(tenant)
    this.#leave(places?.get(provider))
    places?.delete(provider)
    if (places?.size === 0) this.#tenants.delete(tenant)
  }

  #leave(place: Place | undefined): void {
    if (place === undefined) return
    place.memory.isGone = true
    this.#generation += 1
  }

  /** What was made of these options before. */
  prepared(options: object, canPin: boolean): Prepared | undefined {
    const prepared = this.#prepared.get(options)
    return prepared?.options.canPin === canPin ? prepared : undefined
  }

  prepare(options: object, prepared: Prepared): void {
    this.#prepared.set(options, prepared)
  }

  /** What was made of this registration under these options before. */
  checked(registration: unknown, options: ResolvedOptions): Provider | undefined {
    const checked = isObject(registration) ? this.#checked.get(registration) : undefined
    return checked?.by === options ? checked.provider : undefined
  }

  check(registration: unknown, options: ResolvedOptions, provider: Provider): void {
    if (isObject(registration)) this.#checked.set(registration, { by: options, provider })
  }
}

const isObject = (u: unknown): u is object => typeof u === "object" && u !== null

const contents = new WeakMap<JwksMemory, SharedMemory>()

/** What a memory holds. */
export const contentsOf = (memory: JwksMemory): SharedMemory => {
  const found = contents.get(memory) ?? new SharedMemory()
  contents.set(memory, found)
  return found
}
