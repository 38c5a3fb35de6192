/**
 * URLs that a tenant registers, or that an answer leads to, which are no plain https URL of an allowed host.
 */
import { goodKeys, jwks, metadata, redirect } from "../Answer.ts"
import { about, type CaseOf, fails, type HostileCase, holds, refusesRegistration } from "../HostileCase.ts"

const form = "must be an absolute http or https URL"

const registered = (title: string, jwksUrl: string): CaseOf => ({
  title,
  registration: { jwksUrl },
  expected: refusesRegistration("jwksUrl", form),
})

/** The provider redirects; whoever is asked then would have a good set. */
const redirected = (title: string, location: string, rest: Pick<CaseOf, "expected"> & Partial<CaseOf>): CaseOf => ({
  title,
  answer: ({ nth }) => (nth === 1 ? redirect(location) : jwks(goodKeys(1, 2))),
  ...rest,
})

/** Options that are the operator's alone. */
const operatorsOwn: Readonly<Record<string, unknown>> = {
  allowPrivateAddresses: true,
  http: { allowPrivateAddresses: true },
  limits: {},
  ca: "-----BEGIN CERTIFICATE-----",
  proxy: { url: "http://evil.test" },
  userAgent: "evil",
}

const scheme = fails("UrlRefused", "only https and http are spoken")
const domain = fails("UrlRefused", "the host is in no allowed domain")
const otherHost = (title: string, rest: Pick<CaseOf, "expected"> & Partial<CaseOf>): CaseOf => ({
  title,
  answer: ({ host }, { url }) =>
    host === "idp.test" ? redirect(url("/jwks", { host: "other.test" })) : jwks(goodKeys(1, 2)),
  ...rest,
})

export const urlCases: ReadonlyArray<HostileCase> = [
  ...about(
    "registered_url_form",
    registered("a relative URL is registered", "/jwks"),
    registered("a URL without scheme is registered", "//idp.test/jwks"),
    registered("an empty URL is registered", ""),
    registered("a URL without host is registered", "https://"),
    registered("a URL with a broken IPv6 host is registered", "http://[::1/jwks"),
    registered("a URL with a port beyond 65,535 is registered", "http://idp.test:65536/jwks"),
    registered("a file is registered", "file:///etc/passwd"),
    registered("a data URL is registered", 'data:application/json,{"keys":[]}'),
    registered("a script is registered", "javascript:alert(1)"),
    registered("an FTP server is registered", "ftp://idp.test/jwks"),
    registered("a URL with backslashes is registered", "http:\\\\idp.test\\jwks"),
    registered("a URL with a line end in it is registered", "http://idp.test/jwks\r\nHost: evil.test"),
    {
      title: "an issuer that is no URL is registered",
      registration: { issuer: "idp" },
      expected: refusesRegistration("issuer", form),
    },
  ),
  ...about(
    "registered_url_userinfo",
    registered("a URL with a user is registered", "https://user@idp.test/jwks"),
    registered("a URL with user and password is registered", "https://user:password@idp.test/jwks"),
    registered("a URL whose userinfo looks like the host is registered", "https://idp.test@evil.test/jwks"),
    registered("a URL with empty userinfo is registered", "https://@idp.test/jwks"),
  ),
  ...about(
    "registered_url_fragment",
    registered("a URL with a fragment is registered", "https://idp.test/jwks#keys"),
    registered("a URL with an empty fragment is registered", "https://idp.test/jwks#"),
  ),
  ...about(
    "url_scheme",
    redirected("a redirect to a file", "file:///etc/passwd", { expected: scheme }),
    redirected("a redirect to a data URL that holds a set", `data:application/json,${JSON.stringify({ keys: [] })}`, {
      expected: scheme,
      via: "fetch",
    }),
    redirected("a redirect to a script", "javascript:alert(1)", { expected: scheme }),
    redirected("a redirect to an FTP server", "ftp://idp.test/jwks", { expected: scheme }),
    redirected("a redirect to a WebSocket", "ws://idp.test/jwks", { expected: scheme }),
    redirected("a redirect to gopher, the scheme that speaks any protocol", "gopher://idp.test:6379/_FLUSHALL", {
      expected: scheme,
    }),
    redirected("a redirect to a blob", "blob:http://idp.test/1", { expected: scheme }),
  ),
  ...about(
    "require_https",
    {
      title: "http is registered where the registration itself asks for https",
      registration: { requireHttps: true },
      expected: refusesRegistration("jwksUrl", "https is required"),
    },
    {
      title: "an http issuer is registered where https is required",
      registration: { issuer: "http://idp.test", requireHttps: true },
      expected: refusesRegistration("issuer", "https is required"),
    },
  ),
  ...about("require_https_both", {
    title: "a tenant's registration allows itself http, and the operator does not",
    options: { requireHttps: true },
    registration: { requireHttps: false },
    expected: refusesRegistration("jwksUrl", "https is required"),
  }),
  ...about(
    "url_length",
    {
      title: "a URL of more than 2,048 characters is registered",
      registration: { jwksUrl: `http://idp.test/${"a".repeat(2_048)}` },
      expected: refusesRegistration("jwksUrl", "at most 2048 characters"),
    },
    redirected("a short relative Location that becomes too long beside its base", `/${"a".repeat(2_040)}`, {
      expected: fails("UrlRefused", "at most 2048 characters"),
    }),
  ),
  ...about("url_userinfo", {
    title: "an issuer's metadata lead to a URL with user and password",
    when: "first",
    registration: ({ url }) => ({ issuer: url("") }),
    answer: ({ target }, { url }) =>
      target === "/jwks"
        ? jwks(goodKeys(1, 2))
        : metadata({ issuer: url(""), jwks_uri: url("/jwks").replace("//", "//user:password@") }),
    expected: fails("UrlRefused", "userinfo"),
  }),
  ...about(
    "domain_form",
    ...[
      ["a wildcard", "*.idp.test"],
      ["a leading dot", ".idp.test"],
      ["a scheme", "https://idp.test"],
      ["a path", "idp.test/jwks"],
      ["a port", "idp.test:8443"],
      ["userinfo", "user@idp.test"],
      ["nothing", ""],
    ].map(([what = "", allowed = ""]): CaseOf => ({
      title: `an allowed domain is written with ${what}`,
      registration: { allowedDomains: [allowed] },
      expected: refusesRegistration("allowedDomains[0]", "must be a domain"),
    })),
  ),
  ...about(
    "allowed_domains",
    otherHost("a redirect to a host that the registration does not list", {
      registration: { allowedDomains: ["idp.test"] },
      expected: domain,
    }),
    redirected("a redirect to an address that no list names", "http://127.0.0.1/jwks", {
      registration: { allowedDomains: ["idp.test"] },
      expected: domain,
    }),
    {
      title: "a host outside the registration's own list is registered",
      registration: { allowedDomains: ["other.test"] },
      expected: refusesRegistration("jwksUrl", "the host is in no allowed domain"),
    },
    otherHost("a redirect to a host that is listed, in another spelling", {
      registration: { allowedDomains: ["IDP.test.", "OTHER.test"] },
      reaches: ["other.test"],
      expected: holds("static-2"),
    }),
  ),
  ...about(
    "allowed_domains_labels",
    redirected("a redirect to a host that only ends like an allowed one", "http://evilidp.test/jwks", {
      registration: { allowedDomains: ["idp.test"] },
      expected: domain,
    }),
    redirected("a redirect to a host that only begins like an allowed one", "http://idp.test.evil.test/jwks", {
      registration: { allowedDomains: ["idp.test"] },
      expected: domain,
    }),
    redirected("a redirect to a host that hides an allowed one in its path", "http://evil.test/idp.test", {
      registration: { allowedDomains: ["idp.test"] },
      expected: domain,
    }),
  ),
  ...about(
    "allowed_domains_of_operator",
    otherHost("a redirect to a host that the tenant allows, and the operator does not", {
      options: { allowedDomains: ["idp.test"] },
      registration: { allowedDomains: ["idp.test", "other.test"] },
      expected: domain,
    }),
    {
      title: "a host that the operator does not allow is registered",
      options: { allowedDomains: ["other.test"] },
      expected: refusesRegistration("jwksUrl", "the host is in no allowed domain"),
    },
  ),
  ...about(
    "allowed_domains_of_limits",
    otherHost("a redirect to a host that the tenant allows, and the operator's limits do not", {
      options: { limits: { allowedDomains: ["idp.test"] } },
      registration: { allowedDomains: ["other.test", "idp.test"] },
      expected: domain,
    }),
  ),
  ...about(
    "no_exemption_in_registration",
    ...Object.entries(operatorsOwn).map(([field, value]): CaseOf => ({
      title: `a registration has the operator's option ${field}`,
      registration: { ...{ [field]: value } },
      expected: refusesRegistration(field, "is no field of a registration"),
    })),
  ),
  ...about(
    "setting_bounds",
    ...(
      [
        ["maxResponseBytes", 16 * 1_048_576 + 1],
        ["maxKeys", 10_001],
        ["maxRedirects", 11],
        ["minRsaBits", 1_023],
      ] as const
    ).map(([field, value]): CaseOf => ({
      title: `a registration asks for ${field} of ${value}`,
      registration: { [field]: value },
      expected: refusesRegistration(field, "must be a whole number from"),
    })),
  ),
  ...about(
    "operator_limits",
    ...(
      [
        ["maxResponseBytes", 1_048_576, 10_000, "must be at most"],
        ["maxKeys", 2_048, 100, "must be at most"],
        ["maxRedirects", 10, 1, "must be at most"],
        ["minRsaBits", 2_048, 3_072, "must be at least"],
      ] as const
    ).map(([field, asked, limit, says]): CaseOf => ({
      title: `a registration asks for ${field} of ${asked} where the operator's limit is ${limit}`,
      options: { limits: { [field]: limit } },
      registration: { [field]: asked },
      expected: refusesRegistration(field, says),
    })),
  ),
]
