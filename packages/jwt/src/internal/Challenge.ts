/**
 * A challenge as text: what `WWW-Authenticate` says (RFC 6750 section 3, RFC 9110 section 11.6.1). Pure.
 */

/** What a challenge says beside the error. Characters that no header may hold become `?`. */
export interface ChallengeOptions {
  /** What is protected (RFC 9110 section 11.5). Default: `api`, since a challenge needs a parameter. */
  readonly realm?: string
  /** Scopes that a token needs here (RFC 6749 section 3.3). */
  readonly scope?: ReadonlyArray<string>
  /** URL of the metadata that say where to get a token (RFC 9728 section 5.1). */
  readonly resourceMetadata?: string
}

/** An error code (RFC 6750 section 3.1), and one fixed sentence about it. */
export interface ChallengedError {
  readonly code: "invalid_request" | "invalid_token" | "insufficient_scope"
  readonly description: string
}

/** The value of `WWW-Authenticate`; without an error where no token was sent. */
export const challengeText = (options: ChallengeOptions, error?: ChallengedError): string => {
  const { realm = "api", resourceMetadata, scope } = options
  const parameters = [
    ["realm", realm],
    // None at all is no value of it.
    ["scope", scope === undefined || scope.length === 0 ? undefined : scope.join(" ")],
    ["error", error?.code],
    ["error_description", error?.description],
    ["resource_metadata", resourceMetadata],
  ] as const
  const written = parameters.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoted(value)}`]))
  return `Bearer ${written.join(", ")}`
}

/** A quoted-string (RFC 9110 section 5.6.4) of printable ASCII: no line ends, and nothing that readers disagree on. */
const quoted = (text: string): string => `"${text.replace(/[^\x20-\x7e]/gu, "?").replace(/["\\]/g, "\\$&")}"`
