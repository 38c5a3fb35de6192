/**
 * Metadata that are about somebody else, or that lead where no registration could.
 */
import { type Answer, goodKeys, head, jwks, metadata, page, redirect, repeat, response, send } from "../Answer.ts"
import {
  about,
  type Asked,
  type CaseOf,
  fails,
  type HostileCase,
  holds,
  type Place,
  refusesRegistration,
} from "../HostileCase.ts"

const isMetadata = ({ target }: Asked): boolean => target.includes("/.well-known/")

/** A registered issuer whose metadata are these; whatever URL they name has a good set. */
const discovered = (
  title: string,
  answer: Answer | ((place: Place, asked: Asked) => Answer),
  rest: Pick<CaseOf, "expected"> & Partial<CaseOf>,
): CaseOf => ({
  title,
  when: "first",
  registration: ({ url }) => ({ issuer: url("") }),
  answer: (asked, place) => {
    if (!isMetadata(asked)) return jwks(goodKeys(1, 2))
    return typeof answer === "function" ? answer(place, asked) : answer
  },
  ...rest,
})

/** Metadata whose members differ like this from good ones. */
const says = (
  title: string,
  members: (place: Place) => Readonly<Record<string, unknown>>,
  rest: Pick<CaseOf, "expected"> & Partial<CaseOf>,
): CaseOf =>
  discovered(
    title,
    (place) => metadata({ issuer: place.url(""), jwks_uri: place.url("/keys"), ...members(place) }),
    rest,
  )

/** A provider whose set is gone, and whose metadata lie when they are asked again. */
const again = (title: string, answer: Answer | ((place: Place) => Answer), rest: Partial<CaseOf> = {}): CaseOf => ({
  title,
  registration: ({ url }) => ({ issuer: url("") }),
  answer: (asked, place) => {
    if (!isMetadata(asked)) return asked.target === "/keys" ? response({ status: 404 }) : jwks(goodKeys(1, 2))
    return typeof answer === "function" ? answer(place) : answer
  },
  expected: fails("HttpStatus", "404"),
  ...rest,
})

const other = fails("DiscoveryFailed", "the metadata are about another issuer")
const noUri = fails("DiscoveryFailed", "the metadata have no jwks_uri")
const relative = fails("DiscoveryFailed", "jwks_uri is no absolute URL")

export const discoveryCases: ReadonlyArray<HostileCase> = [
  ...about(
    "discovery_issuer",
    says("metadata of another issuer", () => ({ issuer: "https://evil.test" }), { expected: other }),
    says("an issuer with a slash too many", ({ url }) => ({ issuer: url("/") }), { expected: other }),
    says("an issuer with a slash too few", ({ url }) => ({ issuer: url("") }), {
      registration: ({ url }) => ({ issuer: url("/") }),
      expected: other,
    }),
    says("an issuer in another case", ({ url }) => ({ issuer: url("").replace("idp", "IDP") }), { expected: other }),
    says("an issuer with another path", ({ url }) => ({ issuer: url("/tenant") }), { expected: other }),
    says("an issuer without its port", () => ({ issuer: "http://idp.test" }), { expected: other }),
    says("an issuer with https for http", ({ url }) => ({ issuer: url("").replace("http:", "https:") }), {
      expected: other,
    }),
    says("an issuer with a space behind it", ({ url }) => ({ issuer: `${url("")} ` }), { expected: other }),
    says("an issuer with a fragment", ({ url }) => ({ issuer: `${url("")}#` }), { expected: other }),
    says(
      "an issuer with a template, as multi-tenant providers have it",
      ({ url }) => ({ issuer: url("/{tenantid}") }),
      { expected: other },
    ),
    says("an empty issuer", () => ({ issuer: "" }), { expected: other }),
  ),
  ...about(
    "discovery_issuer_named",
    ...(
      [
        ["no issuer", undefined],
        ["an issuer that is null", null],
        ["a list of issuers", ["http://idp.test"]],
        ["an issuer that is an object", {}],
      ] as const
    ).map(([what, issuer]) =>
      says(`metadata with ${what}`, () => ({ issuer }), {
        expected: fails("DiscoveryFailed", "the metadata name no issuer"),
      }),
    ),
  ),
  ...about(
    "discovery_jwks_uri",
    says("metadata without jwks_uri", () => ({ jwks_uri: undefined }), { expected: noUri }),
    says("a jwks_uri that is null", () => ({ jwks_uri: null }), { expected: noUri }),
    says("a jwks_uri that is a list", ({ url }) => ({ jwks_uri: [url("/keys")] }), { expected: noUri }),
    says("a relative jwks_uri", () => ({ jwks_uri: "/keys" }), { expected: relative }),
    says("a jwks_uri without scheme", () => ({ jwks_uri: "//idp.test/keys" }), { expected: relative }),
    says("an empty jwks_uri", () => ({ jwks_uri: "" }), { expected: relative }),
  ),
  ...about(
    "discovery_policy",
    says("a jwks_uri at this machine", ({ url }) => ({ jwks_uri: url("/keys", { host: "127.0.0.1" }) }), {
      options: { allowPrivateAddresses: ["idp.test"] },
      expected: fails("AddressRefused", "loopback address"),
    }),
    says("a jwks_uri at the cloud's metadata", () => ({ jwks_uri: "http://169.254.169.254/latest" }), {
      via: "proxy",
      expected: fails("AddressRefused", "cloud metadata address"),
    }),
    says("a jwks_uri at a local name", ({ url }) => ({ jwks_uri: url("/keys", { host: "localhost" }) }), {
      expected: fails("AddressRefused", "the name localhost is local"),
    }),
    says(
      "a jwks_uri at a host that is not allowed",
      ({ url }) => ({ jwks_uri: url("/keys", { host: "other.test" }) }),
      {
        registration: ({ url }) => ({ issuer: url(""), allowedDomains: ["idp.test"] }),
        expected: fails("UrlRefused", "the host is in no allowed domain"),
      },
    ),
    says("a jwks_uri that is a file", () => ({ jwks_uri: "file:///etc/passwd" }), {
      expected: fails("UrlRefused", "only https and http are spoken"),
    }),
    says("a jwks_uri that is a data URL", () => ({ jwks_uri: 'data:application/json,{"keys":[]}' }), {
      expected: fails("UrlRefused", "only https and http are spoken"),
    }),
    says("a jwks_uri with userinfo", ({ url }) => ({ jwks_uri: url("/keys").replace("//", "//user:password@") }), {
      expected: fails("UrlRefused", "userinfo"),
    }),
    says("a jwks_uri of 3,000 characters", ({ url }) => ({ jwks_uri: url(`/${"a".repeat(3_000)}`) }), {
      expected: fails("UrlRefused", "at most 2048 characters"),
    }),
  ),
  ...about(
    "discovery_downgrade",
    says(
      "a jwks_uri with http in metadata that came over https",
      ({ url }) => ({ jwks_uri: url("/keys", { scheme: "http" }) }),
      {
        scheme: "https",
        expected: fails("UrlRefused", "https is required"),
      },
    ),
    discovered(
      "a jwks_uri with http in metadata that a redirect to https led to",
      ({ url }, asked) =>
        asked.target.endsWith("?moved")
          ? metadata({ issuer: url(""), jwks_uri: url("/keys") })
          : redirect(url("/.well-known/x?moved", { scheme: "https" })),
      { expected: fails("UrlRefused", "https is required") },
    ),
  ),
  ...about(
    "discovery_body",
    discovered("a page in place of metadata", response({ body: page }), {
      expected: fails("DiscoveryFailed", "the body is not JSON"),
    }),
    discovered("metadata that are a list", response({ body: "[]" }), {
      expected: fails("DiscoveryFailed", "the body is not a JSON object"),
    }),
    discovered("metadata that are null", response({ body: "null" }), {
      expected: fails("DiscoveryFailed", "the body is not a JSON object"),
    }),
    discovered("metadata that are no UTF-8", response({ body: Uint8Array.of(0x7b, 0xff, 0x7d) }), {
      expected: fails("DiscoveryFailed", "the body is not UTF-8 text"),
    }),
    discovered("a set in place of metadata", jwks(goodKeys(1)), {
      expected: fails("DiscoveryFailed", "the metadata name no issuer"),
    }),
    discovered("a signed document in place of metadata", response({ body: "eyJhbGciOiJub25lIn0.e30." }), {
      expected: fails("DiscoveryFailed", "the body is not JSON"),
    }),
  ),
  ...about(
    "discovery_bounds",
    discovered("metadata without end", [send(head(200, [])), repeat(" ".repeat(65_536))], {
      expected: fails("BodyTooLarge", "more than 1048576 bytes"),
    }),
    discovered("metadata that redirect to themselves", (_, { target }) => redirect(target), {
      expected: fails("RedirectRefused", "the redirects go in circles"),
    }),
    discovered("metadata that redirect to this machine", ({ url }) => redirect(url("/x", { host: "localhost" })), {
      expected: fails("AddressRefused", "the name localhost is local"),
    }),
    discovered("304 in place of metadata", response({ status: 304 }), {
      expected: fails("BodyInvalid", "304 to an unconditional request"),
    }),
    discovered(
      "metadata with status 203",
      ({ url }) => response({ status: 203, body: JSON.stringify({ issuer: url(""), jwks_uri: url("/keys") }) }),
      {
        expected: fails("HttpStatus", "203"),
      },
    ),
    discovered("metadata that never come", [], {
      retryPolicy: { maxRetries: 0, attemptTimeout: "150 millis", deadline: "500 millis" },
      expected: fails("TimedOut", "its attemptTimeout of 150 ms"),
    }),
  ),
  ...about(
    "discovery_fallback",
    ...[401, 403, 500].map((status) =>
      discovered(
        `status ${status} for OpenID Connect, and metadata of somebody else's making for RFC 8414`,
        ({ url }, asked) =>
          asked.target.includes("oauth-authorization-server")
            ? metadata({ issuer: url(""), jwks_uri: url("/keys") })
            : response({ status }),
        { expected: fails("HttpStatus", String(status)) },
      ),
    ),
    discovered("404 for both forms of metadata", response({ status: 404 }), {
      expected: fails("DiscoveryFailed", "there are no metadata"),
    }),
  ),
  ...about(
    "discovery_keeps_known",
    again("a set that is gone, and a page in place of metadata", response({ body: page })),
    again("a set that is gone, and metadata of another issuer", ({ url }) =>
      metadata({ issuer: "https://evil.test", jwks_uri: url("/evil") }),
    ),
    again("a set that is gone, and metadata that lead to this machine", ({ url }) =>
      metadata({ issuer: url(""), jwks_uri: url("/evil", { host: "localhost" }) }),
    ),
    again("a set that is gone, and metadata that are gone too", response({ status: 410 })),
    again("a set that is gone, and metadata that still lead to it", ({ url }) =>
      metadata({ issuer: url(""), jwks_uri: url("/keys") }),
    ),
    again("a set that has moved", ({ url }) => metadata({ issuer: url(""), jwks_uri: url("/moved") }), {
      expected: holds("static-2"),
    }),
  ),
  ...about("discovery_query", {
    title: "an issuer with a query is registered, to which nothing could be appended",
    registration: { issuer: "http://idp.test/?tenant=1" },
    expected: refusesRegistration("issuer", "must have no query"),
  }),
]
