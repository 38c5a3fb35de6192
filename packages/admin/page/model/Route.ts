/**
 * Where the viewer is, as the fragment of the address: it can be shared, and "back" on a phone closes a detail.
 */
import type { ProviderName } from "./Wire.ts"

export type Route =
  | { readonly view: "fleet" }
  | { readonly view: "timeline" }
  | ({ readonly view: "provider" } & ProviderName)

/** The route of a fragment; the fleet where it is none that the page knows. */
export const routeOf = (fragment: string): Route => {
  const [view, tenant, provider, ...more] = fragment.replace(/^#/, "").split("/")
  if (view === "timeline") return { view: "timeline" }
  if (view === "provider" && tenant !== undefined && provider !== undefined && more.length === 0) {
    try {
      return { view: "provider", tenant: decodeURIComponent(tenant), provider: decodeURIComponent(provider) }
    } catch {
      return { view: "fleet" } // a fragment that somebody cut or typed
    }
  }
  return { view: "fleet" }
}

/** The fragment of a provider's detail. */
export const providerFragment = ({ tenant, provider }: ProviderName): string =>
  `#provider/${encodeURIComponent(tenant)}/${encodeURIComponent(provider)}`
