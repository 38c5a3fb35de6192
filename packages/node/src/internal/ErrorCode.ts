/**
 * Codes for errors that come without one, or in a spelling of their own: a code is all that is shown of an
 * error, since messages may hold a URL or what a server said.
 */

/** The error, behind one with a code where its own does not do. */
export const coded = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined
  // zstd's are in mixed case (`ZSTD_error_prefix_unknown`), OpenSSL's may hold a slash (`ERR_SSL_SSL/TLS_ALERT_...`).
  const spelled = code?.toUpperCase().replace(/[^A-Z0-9_]/g, "_")
  if (spelled !== undefined) return spelled === code ? error : withCode(error, spelled)
  // The prefix of llhttp's codes; undici leaves out which.
  return error.name === "HTTPParserError" ? withCode(error, "HPE_ERROR") : error
}

const withCode = (cause: Error, code: string): Error => Object.assign(new Error(code, { cause }), { code })
