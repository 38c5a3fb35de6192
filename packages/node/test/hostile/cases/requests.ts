/**
 * Attempts to have the library say more than it should: to the provider, or in its errors.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { goodBody, goodKeys, jwks, redirect, response } from "../Answer.ts"
import { about, fails, type HostileCase, holds } from "../HostileCase.ts"

const good = jwks(goodKeys(1, 2))

export const requestCases: ReadonlyArray<HostileCase> = [
  ...about(
    "no_cookies",
    {
      title: "a cookie that the provider sets",
      goodHeaders: ["Set-Cookie: session=1; Path=/"],
      expected: holds("static-2"),
    },
    {
      title: "a cookie that is set with a redirect",
      answer: ({ target }) =>
        target === "/x" ? good : response({ status: 302, headers: ["Location: /x", "Set-Cookie: session=1"] }),
      expected: holds("static-2"),
    },
  ),
  ...about(
    "no_given_headers",
    {
      title: "cookies and a password that the application gives to fetch for its own servers",
      via: "fetch",
      requestInit: { headers: { cookie: "session=1", authorization: "Bearer s3cr3t" }, credentials: "include" },
      expected: holds("static-2"),
    },
    {
      title: "the same, and a provider that redirects to another host",
      via: "fetch",
      requestInit: { headers: { authorization: "Bearer s3cr3t" } },
      reaches: ["localhost"],
      options: { allowPrivateAddresses: true },
      answer: ({ host }, { url }) => (host === "localhost" ? good : redirect(url("/x", { host: "localhost" }))),
      expected: holds("static-2"),
    },
  ),
  ...about("no_referrer", {
    title: "a referrer that the application gives to fetch",
    via: "fetch",
    requestInit: { referrer: "http://127.0.0.1/s3cr3t", referrerPolicy: "unsafe-url" },
    expected: holds("static-2"),
  }),
  ...about("no_trace_headers", {
    title: "a trace of the application's own, which fetch would hand on",
    via: "fetch",
    expected: holds("static-2"),
  }),
  ...about("host_of_url", {
    title: "a client that the application has given another Host",
    wrap: HttpClient.mapRequest(HttpClientRequest.setHeader("host", "evil.test")),
    expected: holds("static-2"),
  }),
  ...about("no_connection_fields", {
    title: "a client that the application has given fields of a connection",
    wrap: HttpClient.mapRequest(
      HttpClientRequest.setHeaders({
        te: "trailers",
        "keep-alive": "timeout=600",
        "proxy-authorization": "Basic s3cr3t",
      }),
    ),
    expected: holds("static-2"),
  }),
  ...about("keep_alive_max", {
    title: "a server that offers to keep its connection for an hour",
    answer: response({
      headers: ["Connection: keep-alive", "Keep-Alive: timeout=3600"],
      body: goodBody(),
      closes: false,
    }),
    expected: holds("static-2"),
  }),
  ...about("failure_not_told", {
    title: "a client whose error tells the URL with its query",
    wrap: () =>
      HttpClient.make((request, url) =>
        Effect.fail(
          new HttpClientError({ reason: new TransportError({ request, cause: new Error(`s3cr3t at ${url.href}`) }) }),
        ),
      ),
    when: "first",
    expected: fails("TransportFailed", "(the request failed)"),
  }),
  ...about("client_defects", {
    title: "a client that throws",
    wrap: () =>
      HttpClient.make(() => {
        throw new Error("s3cr3t")
      }),
    when: "first",
    expected: fails("TransportFailed", "(the request failed)"),
  }),
  ...about("client_status_errors", {
    title: "a redirect, for a client that fails on every status but 2xx",
    wrap: HttpClient.filterStatusOk,
    answer: ({ target }) => (target === "/x" ? good : redirect("/x")),
    expected: holds("static-2"),
  }),
]
