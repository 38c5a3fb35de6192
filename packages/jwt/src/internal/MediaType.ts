/**
 * A media type as `typ` has it (RFC 7515 section 4.1.9): without case, and without the `application/` that is left out where no
 * other `/` is in it.
 */
export const bareType = (typ: string): string => typ.toLowerCase().replace(/^application\/(?=[^/]*$)/, "")
