/**
 * What a token lets its bearer do, in the forms that issuers write it.
 */
import type { VerifiedJwt } from "./VerifiedJwt.ts"

/**
 * The scopes of a token: its `scope` (RFC 8693 section 4.2, RFC 9068 section 2.2.3) and its `scp`, which Entra and Okta
 * write, each as text with spaces in between or as a list.
 *
 * **Details**
 *
 * Read from the claims as they were signed. Anything else in their place is no scope.
 */
export const scopesOf = ({ payload }: Pick<VerifiedJwt<unknown>, "payload">): ReadonlySet<string> =>
  new Set([...listed(payload["scope"]), ...listed(payload["scp"])])

const listed = (claim: unknown): ReadonlyArray<string> => {
  if (typeof claim === "string") return claim.split(" ").filter((scope) => scope !== "")
  return Array.isArray(claim) ? claim.filter((scope) => typeof scope === "string") : []
}
