/**
 * The URLs that the providers can be registered with, each with documents and faults of its own.
 */
import { ScriptedProvider, staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SlotName } from "./Commands.ts"
import { sites, slots } from "./Commands.ts"

/** Where a provider's document is. */
export const urlOf = (slot: SlotName, site: (typeof sites)[number]): string =>
  `https://${slot.replace("/", "-")}-${site}.test/jwks`

const urls = slots.flatMap((slot) => sites.map((site) => urlOf(slot, site)))

/** Which provider may be registered with a URL. */
export const slotAt = (url: string): SlotName | undefined =>
  slots.find((slot) => sites.some((site) => urlOf(slot, site) === url))

const keysPerSite = 64

/** A provider at one URL, with keys that no other has. */
const makeSite = Effect.fnUntraced(function* (url: string, index: number) {
  const provider = yield* ScriptedProvider.make({
    issuer: new URL(url).origin,
    jwksUrl: url,
    discovery: "none",
    keptRequests: 1,
    keys: { keys: [], spareKeys: 0 },
    response: { cacheControl: "max-age=600", date: undefined },
  })
  const pool = staticKeys(keysPerSite, { from: 1 + index * keysPerSite })
  let taken = 0
  let document: ReadonlyArray<(typeof pool)[number]> = []
  const named = (kid: string) =>
    pool.slice(taken % keysPerSite, (taken++ % keysPerSite) + 1).map((jwk) => ({ ...jwk, kid }))
  const publish = (change: "rekey" | "remove" | "twin", kid: string) => {
    const others = document.filter((jwk) => jwk.kid !== kid)
    const same = change === "twin" ? document.filter((jwk) => jwk.kid === kid).slice(0, 1) : []
    document = [...others, ...same, ...(change === "remove" ? [] : named(kid))]
    return provider.keys.publishRaw({ keys: document })
  }
  yield* publish("rekey", "1")
  yield* publish("rekey", "2")
  return { provider, publish }
})

/** A provider at one URL, and the change of its document. */
export type Site = Effect.Success<ReturnType<typeof makeSite>>

/** A provider at each of the URLs, by URL. */
export const makeSites: Effect.Effect<ReadonlyMap<string, Site>, never, Scope.Scope> = Effect.map(
  Effect.forEach(urls, (url, index) => Effect.map(makeSite(url, index), (site) => [url, site] as const)),
  (entries) => new Map(entries),
)
