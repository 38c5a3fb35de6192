/**
 * Servers that take their time: each is given up within its limit, and its socket with it.
 */
import type { RetryPolicySettings } from "@effect-jwks/core"
import { type Answer, drip, goodBody, head, jwksType, redirect, send } from "../Answer.ts"
import { about, type CaseOf, fails, type HostileCase } from "../HostileCase.ts"

/** An attempt that is given up early, within a deadline that is not far. */
const shortAttempt: RetryPolicySettings = { maxRetries: 0, attemptTimeout: "150 millis", deadline: "500 millis" }
const shortDeadline: RetryPolicySettings = { maxRetries: 0, attemptTimeout: "500 millis", deadline: "150 millis" }

const slow: ReadonlyArray<readonly [string, CaseOf["answer"] & {}]> = [
  ["no answer at all", []],
  ["a header section byte by byte", [drip(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(1_000)}`, 10)]],
  ["a body byte by byte", [send(head(200, [...jwksType, "Content-Length: 1000"])), drip(" ", 10)]],
  ["a body of unknown length byte by byte", [send(head(200, jwksType)), drip(" ", 10)]],
  ["chunks of one byte each", [send(head(200, ["Transfer-Encoding: chunked"])), drip("1\r\n \r\n", 5)]],
  ["a head and then nothing", [send(head(200, ["Content-Length: 1000"]))]],
  ["half a body and then nothing", [send(head(200, ["Content-Length: 1000"])), send(goodBody().slice(0, 50))]],
  ["a whole set, and no end of it", [send(head(200, jwksType)), send(goodBody())]],
  [
    "empty compressed blocks byte by byte",
    [
      send(head(200, ["Content-Encoding: gzip"])),
      send("\u001f\u008b\b\0\0\0\0\0\0\u0003"),
      drip("\0\0\0\u00ff\u00ff", 10),
    ],
  ],
  // Not as fast as they are read: a fast machine would come to the `wire_limit` first.
  ["an interim response over and over", [drip("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 1)]],
  ["a status line without end", [send("HTTP/1.1 200 "), drip("a", 1)]],
  ["an extension of a chunk without end", [send(head(200, ["Transfer-Encoding: chunked"])), send("1;"), drip("a", 1)]],
  [
    "chunks that another coding hides",
    [send(`${head(200, ["Transfer-Encoding: chunked, identity"])}5\r\n`), drip(" ", 10)],
  ],
  ["a redirect to a URL that does not answer", ({ nth }): Answer => (nth === 1 ? redirect("/slow") : [])],
]

export const timeoutCases: ReadonlyArray<HostileCase> = [
  ...about(
    "attempt_timeout",
    ...slow.map(([title, answer]): CaseOf => ({
      title,
      answer,
      retryPolicy: shortAttempt,
      expected: fails("TimedOut", "its attemptTimeout of 150 ms"),
    })),
  ),
  ...about(
    "deadline",
    {
      title: "no answer within the deadline, where an attempt may take longer",
      answer: [],
      retryPolicy: shortDeadline,
      expected: fails("TimedOut", "its deadline of 150 ms"),
    },
    {
      title: "a body byte by byte past the deadline, where an attempt may take longer",
      answer: [send(head(200, jwksType)), drip(" ", 10)],
      retryPolicy: shortDeadline,
      expected: fails("TimedOut", "its deadline of 150 ms"),
    },
  ),
  ...about("headers_timeout", {
    title: "a header section that is not there within the operator's headersTimeout",
    answer: [send("HTTP/1.1 200 OK\r\n")],
    http: { headersTimeout: "150 millis" },
    expected: fails("TransportFailed", "(UND_ERR_HEADERS_TIMEOUT)"),
  }),
  ...about("body_timeout", {
    title: "a body that stops for longer than the operator's bodyTimeout",
    answer: [send(head(200, jwksType)), send(" ")],
    http: { bodyTimeout: "150 millis" },
    expected: fails("TransportFailed", "(UND_ERR_BODY_TIMEOUT)"),
  }),
  ...about(
    "connect_timeout",
    {
      title: "a server that never says a word of TLS",
      when: "first",
      // The http server waits for a request that does not come.
      registration: ({ url }) => ({
        jwksUrl: url("/jwks").replace("http:", "https:"),
      }),
      http: { connectTimeout: "150 millis" },
      expected: fails("TransportFailed", "(UND_ERR_CONNECT_TIMEOUT)"),
    },
    {
      title: "a TLS handshake byte by byte",
      when: "first",
      registration: ({ url }) => ({ jwksUrl: url("/jwks").replace("http:", "https:") }),
      greeting: [send("\u0016\u0003\u0003\u0040\0\u0002\0\u003f\u00fc"), drip("\0", 5)],
      http: { connectTimeout: "150 millis" },
      expected: fails("TransportFailed", "(UND_ERR_CONNECT_TIMEOUT)"),
    },
    {
      title: "a proxy that never opens its tunnel",
      via: "proxy",
      when: "first",
      proxyAnswer: [],
      http: { connectTimeout: "150 millis" },
      expected: fails("TransportFailed", "(UND_ERR_CONNECT_TIMEOUT)"),
    },
    {
      title: "a proxy that says 102, and then nothing more",
      via: "proxy",
      when: "first",
      proxyAnswer: [send("HTTP/1.1 102 Processing\r\n\r\n")],
      http: { connectTimeout: "150 millis" },
      expected: fails("TransportFailed", "(UND_ERR_CONNECT_TIMEOUT)"),
    },
    {
      title: "a proxy that says 102 over and over, byte by byte",
      via: "proxy",
      when: "first",
      proxyAnswer: [drip("HTTP/1.1 102 Processing\r\n\r\n", 1)],
      http: { connectTimeout: "150 millis" },
      expected: fails("TransportFailed", "(UND_ERR_CONNECT_TIMEOUT)"),
    },
  ),
]
