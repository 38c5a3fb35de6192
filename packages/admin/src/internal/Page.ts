/**
 * The page as it is served: one text without data, that asks for the token and calls the API with it.
 */
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { pageText, scriptHash, styleHash } from "./pageText.ts"

/** Nothing but the one script and the one style of the page runs, and only this server is called. */
const contentSecurityPolicy = [
  "default-src 'none'",
  `script-src 'sha256-${scriptHash}'`,
  `style-src 'sha256-${styleHash}'`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ")

/** The page with a status: 200 for whoever may read, 401 with the same text for everybody else. */
export const pageResponse = (status: 200 | 401): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(pageText, {
    status,
    contentType: "text/html; charset=utf-8",
    headers: { "content-security-policy": contentSecurityPolicy },
  })
