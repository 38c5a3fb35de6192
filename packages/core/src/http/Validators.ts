/**
 * What a conditional request is made of (RFC 9110 section 8.8).
 */

/** Validators of a response; they belong to its final URL and go only there. */
export interface Validators {
  /** The final URL, after redirects. */
  readonly url: string
  readonly etag?: string
  readonly lastModified?: string
}
