/**
 * Hosts as they are written and as they are compared.
 */
import * as Result from "effect/Result"
import * as Url from "effect/http/Url"

/** Lower-case, without brackets and trailing dots. */
export const bareHost = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.+$/, "")

/** What a URL parser would take for the end of the host, and the wildcards that some expect to work. */
const notInDomain = /[/\\?#@*:\s]/

/**
 * A domain as it is compared: lower-case, IDN in A-label form, without a trailing dot. `undefined` for
 * text that is more or less than a host: a port, a path, a wildcard, a leading dot.
 */
export const canonicalDomain = (domain: string): string | undefined => {
  const text = withoutDot(domain)
  if (text.startsWith(".") || (notInDomain.test(text) && !/^\[[0-9a-f:.]+\]$/i.test(text))) return undefined
  const parsed = Url.fromString(`https://${text}/`)
  return Result.isSuccess(parsed) ? parsed.success.hostname : undefined
}

/** Without the dot that marks a name as absolute (RFC 1034 section 3.1). */
export const withoutDot = (host: string): string => host.replace(/\.$/, "")

/** A host that an operator wrote, as {@link bareHost} has that of a URL; IPv6 with or without brackets. */
export const canonicalHost = (host: string): string | undefined => {
  const bare = bareHost(host)
  const canonical = canonicalDomain(bare.includes(":") ? `[${bare}]` : bare)
  return canonical === undefined || canonical === "" ? undefined : bareHost(canonical)
}

/** Whether a URL's `hostname` is one of the hosts that an operator wrote; a boolean stands for all or none. */
export const isOneOf = (hostname: string, hosts: boolean | ReadonlyArray<string>): boolean =>
  typeof hosts === "boolean" ? hosts : hosts.some((other) => canonicalHost(other) === bareHost(hostname))
