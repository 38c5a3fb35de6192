/**
 * Redirects that lead nowhere, round and round, or away from what was checked.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { goodKeys, head, jwks, redirect, response, send } from "../Answer.ts"
import { about, type CaseOf, fails, oneAttempt, type HostileCase, holds } from "../HostileCase.ts"

const good = jwks(goodKeys(1, 2))

/** The provider answers with this Location, and with a good set to whatever comes of it. */
const to = (title: string, location: string, rest: Pick<CaseOf, "expected"> & Partial<CaseOf>): CaseOf => ({
  title,
  answer: ({ nth }) => (nth === 1 ? redirect(location) : good),
  ...rest,
})

/** So many redirects, each to another URL, then a good set. */
const chain = (title: string, hops: number, rest: Pick<CaseOf, "expected"> & Partial<CaseOf>): CaseOf => ({
  title,
  answer: ({ nth }) => (nth <= hops ? redirect(`/hop-${nth}`) : good),
  ...rest,
})

const refused = (says: string) => fails("RedirectRefused", says)
const notUri = refused("its Location holds characters that no URI has")
const text = refused("its Location holds white space or control characters")

export const redirectCases: ReadonlyArray<HostileCase> = [
  ...about(
    "redirect_recheck",
    {
      title: "a redirect from an allowed host by way of an allowed one to another",
      registration: { allowedDomains: ["idp.test", "other.test"] },
      reaches: ["other.test"],
      answer: ({ host }, { url }) =>
        redirect(host === "idp.test" ? url("/x", { host: "other.test" }) : url("/x", { host: "evil.test" })),
      expected: fails("UrlRefused", "the host is in no allowed domain"),
    },
    ...[301, 302, 303, 307, 308].map((status): CaseOf => ({
      title: `a redirect with status ${status} to a host that is not allowed`,
      registration: { allowedDomains: ["idp.test"] },
      answer: redirect("http://evil.test/jwks", status),
      expected: fails("UrlRefused", "the host is in no allowed domain"),
    })),
    to("a redirect without scheme to a host that is not allowed", "//evil.test/jwks", {
      registration: { allowedDomains: ["idp.test"] },
      expected: fails("UrlRefused", "the host is in no allowed domain"),
    }),
    to("a redirect with backslashes to a host that is not allowed", "\\\\evil.test\\jwks", {
      registration: { allowedDomains: ["idp.test"] },
      expected: fails("UrlRefused", "the host is in no allowed domain"),
    }),
  ),
  ...about(
    "redirect_downgrade",
    {
      title: "a redirect from https to http, where http is allowed",
      scheme: "https",
      answer: ({ nth }, { url }) => (nth === 1 ? redirect(url("/jwks", { scheme: "http" })) : good),
      expected: refused("it leads from https to http"),
    },
    {
      title: "a redirect from https to http on another host",
      scheme: "https",
      answer: ({ nth }, { url }) => (nth === 1 ? redirect(url("/jwks", { scheme: "http", host: "other.test" })) : good),
      expected: refused("it leads from https to http"),
    },
    {
      title: "a redirect from http to https is followed",
      answer: ({ nth }, { url }) => (nth === 1 ? redirect(url("/jwks", { scheme: "https" })) : good),
      expected: holds("static-2"),
    },
  ),
  ...about(
    "redirect_userinfo",
    to("a redirect with user and password", "http://user:password@idp.test/jwks", {
      expected: refused("its Location holds userinfo"),
    }),
    to("a redirect whose userinfo looks like the host", "http://idp.test@evil.test/jwks", {
      expected: refused("its Location holds userinfo"),
    }),
    to("a redirect with an empty userinfo", "http://@idp.test/jwks", {
      expected: refused("its Location holds userinfo"),
    }),
    to("a redirect with an empty userinfo behind backslashes", "http:\\\\@idp.test/jwks", {
      expected: refused("its Location holds userinfo"),
    }),
    to("a redirect to a network path with userinfo", "//user@idp.test/jwks", {
      expected: refused("its Location holds userinfo"),
    }),
  ),
  ...about(
    "redirect_loop",
    {
      title: "a redirect to itself",
      answer: ({ target }) => redirect(target),
      retryPolicy: oneAttempt,
      expected: refused("the redirects go in circles"),
    },
    {
      title: "two URLs that redirect to each other",
      answer: ({ target }) => redirect(target === "/a" ? "/b" : "/a"),
      retryPolicy: oneAttempt,
      expected: refused("the redirects go in circles"),
    },
    {
      title: "a redirect to itself with another fragment each time",
      answer: ({ nth, target }) => redirect(`${target}#${nth}`),
      retryPolicy: oneAttempt,
      expected: refused("the redirects go in circles"),
    },
    {
      title: "a redirect to itself in other words",
      answer: ({ target }) => redirect(`/x/../${target.slice(1)}`),
      retryPolicy: oneAttempt,
      expected: refused("the redirects go in circles"),
    },
  ),
  ...about(
    "redirect_limit",
    chain("four redirects, where three are followed", 4, { expected: refused("more than 3 redirects") }),
    chain("redirects without end, each to another URL", Infinity, {
      retryPolicy: oneAttempt,
      expected: refused("more than 3 redirects"),
    }),
    chain("one redirect, where none is followed", 1, {
      registration: { maxRedirects: 0 },
      expected: refused("more than 0 redirects"),
    }),
    chain("three redirects are followed", 3, { expected: holds("static-2") }),
  ),
  ...about(
    "redirect_location_missing",
    ...[301, 302, 303, 307, 308].map((status): CaseOf => ({
      title: `status ${status} without Location`,
      answer: response({ status }),
      expected: refused("it names no Location"),
    })),
  ),
  ...about("redirect_location_empty", to("an empty Location", "", { expected: refused("its Location is empty") })),
  ...about(
    "redirect_location_length",
    to("a Location of more than 2,048 characters", `http://idp.test/${"a".repeat(2_040)}`, {
      expected: refused("its Location has more than 2048 characters"),
    }),
    to("a Location of 10 kB that a parser would shorten", `/${"x/../".repeat(2_000)}jwks`, {
      expected: refused("its Location has more than 2048 characters"),
    }),
  ),
  ...about(
    "redirect_location_text",
    to("a Location with a space in it", "/jwks next", { expected: text }),
    to("a Location with a tab in it, which parsers drop", "/jw\tks", { expected: text }),
    to("a Location with a tab in its scheme, which parsers drop", "ht\ttp://idp.test/jwks", { expected: text }),
    to("a Location with a C1 control character", "/jwks\u0085", { expected: text }),
    to("a Location with a no-break space", "/jwks\u00a0", { expected: text }),
    {
      title: "two Locations",
      answer: response({ status: 302, headers: ["Location: /a", "Location: /b"] }),
      expected: text,
    },
  ),
  ...about(
    "redirect_location_ascii",
    to("a Location with a host in raw UTF-8", "http://b\u00c3\u00bc.test/jwks", { expected: notUri }),
    to("a Location with a path in raw UTF-8", "/\u00c3\u00a4", { expected: notUri }),
  ),
  ...about(
    "redirect_location_form",
    to("a Location with a broken IPv6 host", "http://[::1/jwks", { expected: refused("its Location is no URL") }),
    to("a Location with a port beyond 65,535", "http://idp.test:65536/", {
      expected: refused("its Location is no URL"),
    }),
    to("a Location with a forbidden character in its host", "http://idp<.test/", {
      expected: refused("its Location is no URL"),
    }),
  ),
  ...about(
    "redirect_statuses",
    ...[300, 305, 306, 399].map((status): CaseOf => ({
      title: `status ${status} with a Location is no redirect`,
      answer: ({ nth }) => (nth === 1 ? redirect("/x", status) : good),
      expected: fails("HttpStatus", String(status)),
    })),
    {
      title: "status 200 with a Location is no redirect",
      answer: ({ target }) => (target === "/x" ? jwks(goodKeys(1, 3)) : jwks(goodKeys(1, 2), ["Location: /x"])),
      expected: holds("static-2"),
    },
    {
      title: "a refresh in a header is no redirect",
      answer: ({ target }) => (target === "/x" ? jwks(goodKeys(1, 3)) : jwks(goodKeys(1, 2), ["Refresh: 0; url=/x"])),
      expected: holds("static-2"),
    },
  ),
  ...about(
    "redirect_by_hand",
    {
      title: "a redirect where the application tells fetch to follow",
      via: "fetch",
      requestInit: { redirect: "follow" },
      answer: ({ target }) => (target === "/x" ? good : redirect("/x")),
      expected: holds("static-2"),
    },
    {
      title: "a redirect to a refused host where the application tells fetch to follow",
      via: "fetch",
      requestInit: { redirect: "follow" },
      answer: ({ host }, { url }) => (host === "localhost" ? good : redirect(url("/x", { host: "localhost" }))),
      expected: fails("AddressRefused", "the name localhost is local"),
    },
  ),
  ...about("client_follows_redirect", {
    title: "a client that the application lets follow redirects",
    via: "fetch",
    when: "first",
    wrap: (client) =>
      HttpClient.transformResponse(client, (answer) =>
        Effect.map(answer, (answered) =>
          // What a client that follows says: where it ended.
          Object.defineProperty(answered, "url", { value: "http://127.0.0.1/elsewhere" }),
        ),
      ),
    expected: refused("the HTTP client followed a redirect on its own"),
  }),
  ...about("unread_body_let_go", {
    title: "a redirect whose body never ends",
    answer: ({ nth }) =>
      nth === 1 ? [send(head(302, ["Location: /x", "Content-Length: 1000000000"])), send("x".repeat(65_536))] : good,
    expected: holds("static-2"),
  }),
]
