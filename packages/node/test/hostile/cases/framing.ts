/**
 * Responses that break HTTP/1.1, so that two readers could see different things in them, and connections that
 * break.
 */
import { type Answer, finish, goodBody, goodKeys, jwks, page, repeat, reset, response, send } from "../Answer.ts"
import { about, type CaseOf, fails, oneAttempt, type HostileCase, holds } from "../HostileCase.ts"

const body = goodBody()
const statusLine = "HTTP/1.1 200 OK\r\n"
const length = `Content-Length: ${body.length}\r\n`
const chunked = "Transfer-Encoding: chunked\r\n"
const hex = (count: number): string => count.toString(16)
const chunks = `${hex(body.length)}\r\n${body}\r\n0\r\n\r\n`

const raw = (
  title: string,
  text: string,
  rest: Partial<CaseOf> & Pick<CaseOf, "expected">,
  ...more: Answer
): CaseOf => ({
  title,
  answer: [send(text), ...more],
  ...rest,
})

const broken = (title: string, text: string, ...more: Answer): CaseOf =>
  raw(title, text, { expected: fails("TransportFailed", "(HPE_") }, ...more)
const lied = (title: string, text: string, ...more: Answer): CaseOf =>
  raw(title, text, { expected: fails("TransportFailed", "(UND_ERR_RES_CONTENT_LENGTH_MISMATCH)") }, ...more)
const cut = (title: string, text: string, ...more: Answer): CaseOf =>
  raw(title, text, { expected: fails("TransportFailed", "(UND_ERR_SOCKET)") }, ...more)

/** What the http server says to a TLS handshake. */
const tls = (title: string, greeting: Answer, says?: string): CaseOf => ({
  title,
  when: "first",
  registration: ({ url }) => ({ jwksUrl: url("/jwks").replace("http:", "https:") }),
  greeting,
  expected: fails("TransportFailed", says),
})

/** A proxy that answers like this. */
const proxy = (title: string, proxyAnswer: Answer, says: string): CaseOf => ({
  title,
  via: "proxy",
  when: "first",
  proxyAnswer,
  expected: fails("TransportFailed", says),
})

/** A good response with this field line beside its length. */
const field = (line: string): string => `${statusLine}${line}\r\n${length}\r\n${body}`

export const framingCases: ReadonlyArray<HostileCase> = [
  ...about(
    "broken_responses",
    lied("two lengths that differ", `${statusLine}Content-Length: 5\r\n${length}\r\n${body}`),
    lied("two lengths that are equal", `${statusLine}${length}${length}\r\n${body}`),
    lied("a list of lengths", `${statusLine}Content-Length: ${body.length}, ${body.length}\r\n\r\n${body}`),
    lied("a length beside chunks", `${statusLine}${length}${chunked}\r\n${chunks}`),
    broken("chunks beside a length", `${statusLine}${chunked}${length}\r\n${chunks}`),
    broken("a negative length", `${statusLine}Content-Length: -1\r\n\r\n${body}`),
    broken("a length with a plus", `${statusLine}Content-Length: +${body.length}\r\n\r\n${body}`),
    broken("a length in hexadecimal", `${statusLine}Content-Length: 0x${hex(body.length)}\r\n\r\n${body}`),
    broken("a length that is no number", `${statusLine}Content-Length: many\r\n\r\n${body}`),
    broken("an empty length", `${statusLine}Content-Length: \r\n\r\n${body}`),
    lied("a length of 26 digits", `${statusLine}Content-Length: ${"9".repeat(26)}\r\n\r\n${body}`),
    broken("a chunk whose size is no number", `${statusLine}${chunked}\r\nzz\r\n${body}\r\n0\r\n\r\n`),
    broken("a chunk of a negative size", `${statusLine}${chunked}\r\n-5\r\n${body}\r\n0\r\n\r\n`),
    broken("a chunk whose size has a prefix", `${statusLine}${chunked}\r\n0x${chunks}`),
    broken("a chunk whose size overflows 64 bits", `${statusLine}${chunked}\r\n1${"0".repeat(16)}\r\n${body}`),
    broken("a chunk that is longer than it says", `${statusLine}${chunked}\r\n5\r\n${body}\r\n0\r\n\r\n`),
    broken(
      "a chunk that is shorter than it says",
      `${statusLine}${chunked}\r\n${hex(body.length + 2)}\r\n${body}\r\n0\r\n\r\n`,
    ),
    broken("a chunk whose size has a plus", `${statusLine}${chunked}\r\n+${chunks}`),
    broken("a chunk whose size has a space before it", `${statusLine}${chunked}\r\n ${chunks}`),
    broken("a chunk whose size has a space behind it", `${statusLine}${chunked}\r\n${chunks.replace("\r\n", " \r\n")}`),
    broken(
      "a coding of the transfer behind a vertical tab",
      `${statusLine}Transfer-Encoding: \u000bchunked\r\n\r\n${chunks}`,
    ),
    broken("a length among the trailers", `${statusLine}${chunked}\r\n${chunks.slice(0, -2)}Content-Length: 5\r\n\r\n`),
    broken("trailers that are none", `${statusLine}${chunked}\r\n${chunks.slice(0, -2)}GARBAGE\r\n\r\n`),
    broken("chunks with bare line feeds", `${statusLine}${chunked}\r\n${chunks.replaceAll("\r\n", "\n")}`),
    broken("garbage before the status line", `GARBAGE ${statusLine}${length}\r\n${body}`),
    broken("a NUL before the status line", `\0${statusLine}${length}\r\n${body}`),
    broken("a document without a status line, as in HTTP/0.9", body, finish),
    broken("a page without a status line", page, finish),
    broken("a version that does not exist", `HTTP/1.2 200 OK\r\n${length}\r\n${body}`),
    broken("a version in lower case", `http/1.1 200 OK\r\n${length}\r\n${body}`),
    broken("a version with a zero in front", `HTTP/01.1 200 OK\r\n${length}\r\n${body}`),
    broken("two spaces before the status", `HTTP/1.1  200 OK\r\n${length}\r\n${body}`),
    broken("HTTP/3 in text", `HTTP/3 200 OK\r\n${length}\r\n${body}`),
    broken("the status line of a radio station", `ICY 200 OK\r\n${length}\r\n${body}`),
    broken("a frame of HTTP/2", "\0\0\u0004\0\0\0\0\0\0"),
    broken("an alert of TLS", "\u0015\u0003\u0001\0\u0002\u0002\u0028"),
    broken("the greeting of an SSH server", "SSH-2.0-OpenSSH_9.0\r\n"),
    broken("the greeting of a mail server", "220 mail.idp.test ESMTP\r\n"),
    broken("an answer of Redis", "-ERR unknown command\r\n"),
    broken("a status that is no number", `HTTP/1.1 abc OK\r\n${length}\r\n${body}`),
    broken("a status of two digits", `HTTP/1.1 99 OK\r\n${length}\r\n${body}`),
    broken("a status of four digits", `HTTP/1.1 2000 OK\r\n${length}\r\n${body}`),
    broken("a negative status", `HTTP/1.1 -200 OK\r\n${length}\r\n${body}`),
    broken("bare line feeds", field("X: x").replaceAll("\r\n", "\n")),
    broken("bare carriage returns", field("X: x").replaceAll("\r\n", "\r")),
    broken("a field that is folded", field("X: x\r\n y")),
    broken("a length that is folded", `${statusLine}Content-Length:\r\n ${body.length}\r\n\r\n${body}`),
    broken("a first line that is folded", field(" X: x")),
    broken("a NUL in a field", field("X: a\0b")),
    broken("a NUL in the name of a field", field("X\0X: a")),
    broken("a carriage return in a field", field("X: a\rSet-Cookie: a=b")),
    broken("a line feed in a field", field("X: a\nSet-Cookie: a=b")),
    broken("a control character in a field", field("X: a\u0001b")),
    broken("a space before a colon", `${statusLine}Content-Length : ${body.length}\r\n\r\n${body}`),
    broken("a line without a colon", field("NoColonHere")),
    broken("a field without a name", field(": x")),
    broken("a field whose name has parentheses", field("X(x): x")),
    broken("a NUL in a Location", `HTTP/1.1 302 Found\r\nLocation: /a\0b\r\nContent-Length: 0\r\n\r\n`),
    raw("a status of zeros", `HTTP/1.1 000 OK\r\n${length}\r\n${body}`, {
      expected: fails("TransportFailed", "(ERR_ASSERTION)"),
    }),
    cut("100 that nobody waits for", `HTTP/1.1 100 Continue\r\n\r\n${field("X: x")}`),
    cut(
      "101 to a protocol that nobody asked for",
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n${body}`,
    ),
    raw("102 a thousand times, then a good set", "HTTP/1.1 102 Processing\r\n\r\n".repeat(1_000) + field("X: x"), {
      expected: holds("static-2"),
    }),
    raw("a field of 15 kB beside a good set", field(`X: ${"a".repeat(15_000)}`), { expected: holds("static-2") }),
    raw("fields that are members of every object", field("__proto__: x\r\nconstructor: x"), {
      expected: holds("static-2"),
    }),
    raw("bytes beyond ASCII in a field", field("X: \u00ff\u00fe"), { expected: holds("static-2") }),
    raw(
      "a chunk with an extension of 100 kB",
      `${statusLine}${chunked}\r\n${hex(body.length)};x=${"y".repeat(100_000)}\r\n${chunks.slice(chunks.indexOf("\r\n") + 2)}`,
      { expected: holds("static-2") },
    ),
    {
      title: "a second response behind the first, for whoever asks next on the connection",
      keepsAlive: true,
      answer: ({ target }) =>
        target === "/x"
          ? jwks(goodKeys(1, 2))
          : [...response({ status: 302, headers: ["Location: /x"], closes: false }), ...jwks(goodKeys(1, 9))],
      expected: holds("static-2"),
    },
    {
      title: "a second response in the same piece as the first",
      keepsAlive: true,
      answer: ({ target }) =>
        target === "/x"
          ? jwks(goodKeys(1, 2))
          : [send(`HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n${field("X: x")}`)],
      expected: holds("static-2"),
    },
    { title: "a reset before the first byte", answer: [reset], expected: fails("TransportFailed", "(ECONNRESET)") },
    {
      title: "the end before the first byte",
      answer: [finish],
      expected: fails("TransportFailed", "(UND_ERR_SOCKET)"),
    },
    cut("the end inside the status line", "HTTP/1.1 20", finish),
    cut("the end inside the header section", `${statusLine}Content-`, finish),
    tls("plain http where https is asked for", [send("HTTP/1.1 200 OK\r\n\r\n{}")], "(ERR_SSL_"),
    tls("garbage in place of a TLS handshake", [repeat("A".repeat(65_536))], "(ERR_SSL_"),
    tls("a TLS record that is longer than records may be", [send("\u0016\u0003\u0003\u00ff\u00ff")], "(ERR_SSL_"),
    tls("a TLS handshake that is refused", [send("\u0015\u0003\u0001\0\u0002\u0002\u0028")], "(ERR_SSL_"),
    tls("the end in place of a TLS handshake", [finish], "(ECONNRESET)"),
    tls("TLS warnings without end", [repeat("\u0015\u0003\u0003\0\u0002\u0001\0")]),
    {
      title: "https where plain http is asked for",
      when: "first",
      registration: ({ url }) => ({ jwksUrl: url("/jwks", { scheme: "https" }).replace("https:", "http:") }),
      expected: fails("TransportFailed"),
    },
    proxy("a proxy that answers garbage", [send("GARBAGE\r\n\r\n")], "(HPE_"),
    proxy("a proxy that ends the connection", [finish], "(ECONNRESET)"),
    proxy("a proxy with a field without end", [send("HTTP/1.1 200 OK\r\nX: "), repeat("a".repeat(1_000))], "(HPE_"),
  ),
  ...about(
    "body_whole",
    cut("a body that ends early", `${statusLine}${length}\r\n${body.slice(0, 50)}`, finish),
    cut(
      "a set that is whole, under a length that is ten bytes more",
      `${statusLine}Content-Length: ${body.length + 10}\r\n\r\n${body}`,
      finish,
    ),
    cut(
      "a set that is whole, and chunks without the last one",
      `${statusLine}${chunked}\r\n${chunks.slice(0, -5)}`,
      finish,
    ),
    raw(
      "a set that is whole, and then a reset",
      `${statusLine}Content-Length: ${body.length + 10}\r\n\r\n${body}`,
      // By its own code, or by that of whoever was reading.
      { expected: fails("TransportFailed") },
      reset,
    ),
    raw(
      "a reset in the middle of a body",
      `${statusLine}${length}\r\n${body.slice(0, 50)}`,
      // By its own code, or by that of whoever was reading.
      { expected: fails("TransportFailed") },
      reset,
    ),
    raw(
      "a reset in the middle of a body, on a connection that was to end with it",
      `${statusLine}Connection: close\r\n${length}\r\n${body.slice(0, 50)}`,
      { expected: fails("TransportFailed") },
      reset,
    ),
    raw("a set under a length that is too small", `${statusLine}Content-Length: 10\r\n\r\n${body}`, {
      expected: fails("BodyInvalid", "the body is not JSON"),
    }),
    raw(
      "chunks under a coding that does not exist",
      `${statusLine}Transfer-Encoding: xchunked\r\n\r\n${chunks}`,
      { expected: fails("BodyInvalid", "the body is not JSON") },
      finish,
    ),
    raw(
      "a body of unknown length that a reset ends in the middle",
      `${statusLine}\r\n${body.slice(0, 50)}`,
      { expected: fails("BodyInvalid", "the body is not JSON") },
      reset,
    ),
    raw(
      "a body of unknown length that the connection's end ends",
      `${statusLine}\r\n${body}`,
      { expected: holds("static-2") },
      finish,
    ),
  ),
  ...about(
    "wire_limit",
    ...(
      [
        ["a status line without end", "HTTP/1.1 200 ", "a".repeat(65_536)],
        ["a chunk with an extension without end", `${statusLine}${chunked}\r\n1;x=`, "y".repeat(65_536)],
        ["102 without end", "", "HTTP/1.1 102 Processing\r\n\r\n".repeat(2_000)],
        ["103 with 15 kB of fields, without end", "", `HTTP/1.1 103 Early Hints\r\nX: ${"a".repeat(15_000)}\r\n\r\n`],
      ] as const
    ).map(([title, text, more]) =>
      raw(
        title,
        text,
        { retryPolicy: oneAttempt, expected: fails("TransportFailed", "(UND_ERR_RES_EXCEEDED_MAX_SIZE)") },
        repeat(more),
      ),
    ),
    raw(
      "a chunk with an extension of 1 MiB",
      `${statusLine}${chunked}\r\n${hex(body.length)};x=${"y".repeat(1_048_576)}\r\n${chunks.slice(chunks.indexOf("\r\n") + 2)}`,
      {
        expected: holds("static-2"),
      },
    ),
  ),
  ...about(
    "client_speaks_first",
    ...(
      [
        ["a good set", field("X: x")],
        ["the greeting of a mail server", "220 mail.idp.test ESMTP\r\n"],
      ] as const
    ).map(([what, text]) =>
      proxy(
        `${what} through a proxy before anybody has asked`,
        [send(`HTTP/1.1 200 OK\r\n\r\n${text}`)],
        "(ERR_SPOKE_FIRST)",
      ),
    ),
    proxy(
      "a proxy that opens a tunnel and has a body as well",
      [send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")],
      "(ERR_SPOKE_FIRST)",
    ),
  ),
  ...about(
    "proxy_interim",
    ...(
      [
        ["100", "HTTP/1.1 100 Continue\r\n\r\n"],
        ["103 with fields", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"],
        ["102 twenty times", "HTTP/1.1 102 Processing\r\n\r\n".repeat(20)],
      ] as const
    ).map(([what, text]): CaseOf => ({
      title: `a proxy that says ${what} before it opens the tunnel`,
      via: "proxy",
      when: "first",
      keepsAlive: true,
      proxyInterim: [send(text)],
      answer: response({ body, closes: false }),
      expected: holds("static-2"),
    })),
    proxy(
      "a proxy that says 100 and then that it will not",
      [send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n")],
      "(ERR_PROXY_TUNNEL_403)",
    ),
    proxy(
      "a proxy that says 100 and ends the connection",
      [send("HTTP/1.1 100 Continue\r\n\r\n"), finish],
      "(ECONNRESET)",
    ),
    proxy(
      "a proxy that says 100 and then garbage",
      [send("HTTP/1.1 100 Continue\r\n\r\n"), send("GARBAGE\r\n\r\n")],
      "(HPE_",
    ),
    proxy(
      "a proxy that changes to a protocol that nobody asked for",
      [send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n")],
      "(ERR_PROXY_TUNNEL_101)",
    ),
  ),
  ...about("proxy_interim_bytes", {
    ...proxy(
      "a proxy that says 102 without end",
      [repeat("HTTP/1.1 102 Processing\r\n\r\n".repeat(100))],
      "(UND_ERR_HEADERS_OVERFLOW)",
    ),
    http: { connectTimeout: "1 second" },
  }),
  ...about(
    "header_bytes",
    ...(
      [
        ["one field of 100 kB", `${statusLine}X: ${"a".repeat(100_000)}\r\n${length}\r\n${body}`, []],
        ["10,000 fields", `${statusLine}${"X: a\r\n".repeat(10_000)}${length}\r\n${body}`, []],
        ["a name of 100 kB", `${statusLine}${"X".repeat(100_000)}: a\r\n${length}\r\n${body}`, []],
        ["a field without end", `${statusLine}X: `, [repeat("a".repeat(1_000))]],
        ["fields without end", statusLine, [repeat("X: a\r\n".repeat(200))]],
        [
          "trailers of 100 kB",
          `${statusLine}${chunked}\r\n${chunks.slice(0, -2)}X: ${"a".repeat(100_000)}\r\n\r\n`,
          [],
        ],
        ["trailers without end", `${statusLine}${chunked}\r\n${chunks.slice(0, -2)}`, [repeat("X: a\r\n".repeat(200))]],
      ] as const
    ).map(([title, text, more]) =>
      raw(
        title,
        text,
        { retryPolicy: oneAttempt, expected: fails("TransportFailed", "(UND_ERR_HEADERS_OVERFLOW)") },
        ...more,
      ),
    ),
    raw("a field of 2 kB where the operator allows 1 kB", field(`X: ${"a".repeat(2_000)}`), {
      http: { maxHeaderBytes: 1_024 },
      expected: fails("TransportFailed", "(UND_ERR_HEADERS_OVERFLOW)"),
    }),
  ),
]
