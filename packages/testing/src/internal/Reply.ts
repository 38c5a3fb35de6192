/**
 * What a provider answers, as data that both twins render: decided from the request, the published
 * representation and the fault that the request meets, without a socket or a clock.
 */
import type { Fault } from "../Faults.ts"
import * as Representation from "../Representation.ts"
import { responseHeaders, type ResponseSettings } from "../ResponseSettings.ts"

/** How a body is sent. */
export type Body =
  | { readonly _tag: "Whole"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** `Content-Length` announces more than these bytes; after them the connection ends. */
  | { readonly _tag: "Broken"; readonly bytes: Uint8Array<ArrayBuffer>; readonly by: "reset" | "close" }
  /** White space, streamed, until `bytes` at the end make it `total`. */
  | { readonly _tag: "Padded"; readonly bytes: Uint8Array<ArrayBuffer>; readonly total: number }

/** An answer, or none. */
export type Reply =
  | {
      readonly _tag: "Answer"
      readonly status: number
      /** By lower-case name. */
      readonly headers: Readonly<Record<string, string>>
      readonly body: Body
    }
  /** Nothing, for as long as the connection lives. */
  | { readonly _tag: "Silence" }
  /** The connection is reset. */
  | { readonly _tag: "Refusal" }

/** An answer with a status. */
export type Answer = Extract<Reply, { readonly _tag: "Answer" }>

const whole = (bytes: Uint8Array<ArrayBuffer>): Body => ({ _tag: "Whole", bytes })

const nothing = whole(new Uint8Array(0))

/** A status without content. */
export const bare = (status: number, headers: Readonly<Record<string, string>> = {}): Answer => ({
  _tag: "Answer",
  status,
  headers,
  body: nothing,
})

/** What the URL of a GET holds, and how it is presented. */
export interface Held {
  readonly representation: Representation.Representation
  readonly contentType: string
  readonly settings: ResponseSettings
  /** Epoch milliseconds. */
  readonly now: number
}

/** The representation, or a 304 if the client holds it already by these headers (lower-case names). */
export const represent = (held: Held, requestHeaders: Readonly<Record<string, string>>): Answer => {
  const { representation, contentType, settings, now } = held
  const { etag = "strong", lastModified = true } = settings
  const validators: Representation.Validators = {
    ...(etag === "none" ? {} : { etag: etag === "weak" ? `W/${representation.etag}` : representation.etag }),
    ...(lastModified ? { lastModified: representation.lastModified } : {}),
  }
  const headers = responseHeaders(settings, validators, now)
  return Representation.isNotModified(requestHeaders, validators)
    ? bare(304, headers)
    : {
        _tag: "Answer",
        status: 200,
        headers: { "content-type": contentType, ...headers },
        body: whole(representation.bytes),
      }
}

/** What a fault makes of an answer. `full` stands in where the right answer may have no body to spoil. */
export const spoil = (
  fault: Fault | undefined,
  answers: { readonly right: Answer; readonly full: Answer },
  settings: ResponseSettings,
  now: number,
): Reply => {
  const { right, full } = answers
  const { bytes } = full.body
  switch (fault?._tag) {
    case undefined:
    case "Delay":
      return right
    case "Hang":
      return { _tag: "Silence" }
    case "Refuse":
      return { _tag: "Refusal" }
    case "ResetMidway":
    case "Truncated":
      // A body of no bytes can not break off.
      if (bytes.length === 0) return full
      return {
        ...full,
        headers: { ...full.headers, "content-length": String(bytes.length) },
        body: {
          _tag: "Broken",
          bytes: bytes.slice(0, Math.ceil(bytes.length / 2)),
          by: fault._tag === "Truncated" ? "close" : "reset",
        },
      }
    case "Oversized":
      return { ...full, body: { _tag: "Padded", bytes, total: fault.bytes } }
    case "Replace": {
      // An error says nothing about caching unless it is told to.
      const cacheable = fault.status === 200 || fault.status === 304
      const headers = responseHeaders(cacheable ? settings : { cacheControl: undefined }, {}, now)
      return {
        _tag: "Answer",
        status: fault.status,
        headers: { ...headers, ...fault.headers },
        body: whole(Representation.encode(fault.body)),
      }
    }
  }
}
