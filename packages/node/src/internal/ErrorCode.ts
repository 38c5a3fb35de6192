/**
 * Codes for errors that come without one, or in a spelling of their own: a code is all that is shown of an
 * error, since messages may hold a URL or what a server said.
 */

/** The error, behind one with a code where its own does not do. */
export const coded = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined
  // zstd's are in mixed case (`ZSTD_error_prefix_unknown`), unlike all others.
  if (code !== undefined) return /[a-z]/.test(code) ? withCode(error, code.toUpperCase()) : error
  // The prefix of llhttp's codes; undici leaves out which.
  return error.name === "HTTPParserError" ? withCode(error, "HPE_ERROR") : error
}

const withCode = (cause: Error, code: string): Error => Object.assign(new Error(code, { cause }), { code })
