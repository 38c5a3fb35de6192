/**
 * Where a fetch may go: scheme, length, userinfo, allowed domains and addresses, for the first URL and
 * again for every hop of a redirect. Pure; what a name resolves to is the transport's to check.
 */
import * as Result from "effect/Result"
import * as Url from "effect/http/Url"
import { AddressRefused, displayUrl, RedirectRefused, UrlRefused } from "../JwksError.ts"
import { addressRule } from "./AddressPolicy.ts"
import { canonicalDomain, withoutDot } from "./Host.ts"

/** The rules that one provider's URLs must pass; the registry's and the registration's rules are combined by the caller. */
export interface UrlPolicy {
  /** `false` only where the registry and the registration both allow http. */
  readonly requireHttps: boolean
  /** The host must equal or be under a domain of every list; an empty list adds nothing. */
  readonly allowedDomainLists: ReadonlyArray<ReadonlyArray<string>>
  /** Hosts to which the address rules do not apply; `true` for all. */
  readonly allowPrivateAddresses: boolean | ReadonlyArray<string>
}

const maxUrlLength = 2_048

/** Equal, or under the domain by whole labels: `notexample.com` is not under `example.com`. */
const isWithin = (host: string, domain: string): boolean => {
  const canonical = canonicalDomain(domain)
  return canonical !== undefined && (host === canonical || host.endsWith(`.${canonical}`))
}

/** A URL as refusals show it: the scheme alone where the rest is no origin and path, or far too long. */
const shown = (url: URL): string => {
  if (url.protocol !== "https:" && url.protocol !== "http:") return url.protocol
  return url.href.length > maxUrlLength ? `${url.protocol}//${url.host.slice(0, 255)}/…` : displayUrl(url)
}

/** Whether a parser takes a text as it stands: nothing in it is dropped, or taken for something else. */
export const isPlainUrlText = (value: string): boolean => !/[#\\]/.test(value) && !notInUri.test(value)

/** The absolute http or https URL that somebody wrote out, without userinfo and fragment, not even empty ones. */
export const absoluteUrl = (value: string): URL | undefined => {
  const url = Result.getOrUndefined(Url.fromString(value))
  const isPlain =
    url !== undefined &&
    // An empty userinfo leaves no trace in the parsed URL.
    /^https?:\/\/[^/?@\\]+(?:[/?]|$)/i.test(value) &&
    isPlainUrlText(value)
  return isPlain ? url : undefined
}

/** Why a request to `url` may not be sent; `undefined` when it may. */
export const checkUrl = (
  url: URL,
  policy: UrlPolicy,
): typeof UrlRefused.Type | typeof AddressRefused.Type | undefined => {
  const refuse = (rule: string) => UrlRefused.make({ url: shown(url), rule })
  if (url.protocol !== "https:" && url.protocol !== "http:") return refuse("only https and http are spoken")
  if (url.protocol === "http:" && policy.requireHttps) return refuse("https is required")
  if (url.href.length > maxUrlLength) return refuse(`a URL has at most ${maxUrlLength} characters`)
  // RFC 9110 section 4.2.4: userinfo hides the host from readers, and would end up in logs.
  if (url.username !== "" || url.password !== "") return refuse("a URL with userinfo is not fetched")
  const host = withoutDot(url.hostname)
  const allowed = policy.allowedDomainLists.every(
    (domains) => domains.length === 0 || domains.some((domain) => isWithin(host, domain)),
  )
  if (!allowed) return refuse("the host is in no allowed domain")
  const rule = addressRule(url.hostname, policy.allowPrivateAddresses)
  return rule === undefined ? undefined : AddressRefused.make({ host: url.hostname, rule })
}

/** Control characters and white space: no URI holds them (RFC 3986 section 2), and parsers drop some silently. */
// oxlint-disable-next-line no-control-regex
const notInUri = /[\u0000-\u0020\u007f-\u009f\s]/

/** What no URI holds (RFC 3986 section 2): a header's bytes beyond ASCII would be read as other characters. */
const notInLocation = /[^\u0021-\u007e]/

/** An authority with userinfo, an empty one too, of which the parsed URL shows nothing. */
const userinfo = /^(?:[a-z][a-z0-9+.-]*:[/\\]*|[/\\]{2,})[^/\\?#]*@/i

/**
 * The URL that a `Location` header of `from` leads to, or why it is not followed.
 *
 * **Details**
 *
 * A relative reference is resolved against `from` (RFC 9110 section 10.2.2); a fragment is dropped,
 * since it is never sent.
 */
export const checkRedirect = (
  from: URL,
  location: string,
  policy: UrlPolicy,
): Result.Result<URL, typeof RedirectRefused.Type | typeof UrlRefused.Type | typeof AddressRefused.Type> => {
  const refuse = (rule: string) => Result.fail(RedirectRefused.make({ url: displayUrl(from), rule }))
  if (location === "") return refuse("its Location is empty")
  if (location.length > maxUrlLength) return refuse(`its Location has more than ${maxUrlLength} characters`)
  if (notInUri.test(location)) return refuse("its Location holds white space or control characters")
  if (notInLocation.test(location)) return refuse("its Location holds characters that no URI has")
  if (userinfo.test(location)) return refuse("its Location holds userinfo")
  const parsed = Url.fromString(location, from)
  if (Result.isFailure(parsed)) return refuse("its Location is no URL")
  const next = parsed.success
  next.hash = ""
  if (from.protocol === "https:" && next.protocol === "http:") return refuse("it leads from https to http")
  const refused = checkUrl(next, policy)
  return refused === undefined ? Result.succeed(next) : Result.fail(refused)
}
