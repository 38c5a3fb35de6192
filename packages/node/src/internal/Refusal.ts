/**
 * Why this transport refused a connection, on its way through undici's pool to the requests that waited
 * for it; each of them knows its own URL.
 */

/** What was found. */
export type Found =
  | { readonly _tag: "Address"; readonly host: string; readonly rule: string }
  | { readonly _tag: "Pins" }

/** The error that a connector gives to undici. */
export class Refusal extends Error {
  readonly found: Found

  constructor(found: Found) {
    super(found._tag === "Pins" ? "no certificate matches the pinned keys" : found.rule)
    this.found = found
  }
}
