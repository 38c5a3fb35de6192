/**
 * Host names as they are compared.
 */
import { isIPv6 } from "node:net"

/** Lower-case, without brackets and trailing dots. */
export const bareHost = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.+$/, "")

/** A host that an operator wrote, as a URL would spell it, bare; `undefined` for text that is more or less than a host. */
export const canonicalHost = (host: string): string | undefined => {
  const bare = bareHost(host)
  const text = isIPv6(bare) ? `[${bare}]` : bare
  if (/[/\\?#@*\s]/.test(text) || (text.includes(":") && !text.startsWith("["))) return undefined
  if (!URL.canParse(`https://${text}/`)) return undefined
  const { hostname } = new URL(`https://${text}/`)
  return hostname === "" || hostname.startsWith(".") ? undefined : bareHost(hostname)
}

/** Whether `host` is one of `hosts`, each as {@link canonicalHost} has it. */
export const isOneOf = (host: string, hosts: boolean | ReadonlyArray<string>): boolean =>
  typeof hosts === "boolean" ? hosts : hosts.some((other) => canonicalHost(other) === bareHost(host))

/** Whether `host` is equal to or under `domain`, by whole labels. */
export const isWithin = (host: string, domain: string): boolean =>
  bareHost(host) === domain || bareHost(host).endsWith(`.${domain}`)
