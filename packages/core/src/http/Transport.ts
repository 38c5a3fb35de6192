/**
 * The port between the cache and an HTTP transport that enforces what no `HttpClient` promises by
 * itself: which public keys a server must have, and which addresses a name may resolve to.
 *
 * **Details**
 *
 * A transport says with {@link TransportGuards} what it can enforce, reads {@link TransportDemand} from the fiber
 * of each request, and refuses with {@link TransportRefused} as the cause of its error. For a request with
 * pins it attests the response; the cache takes no other one, so a client that was wrapped or swapped
 * fails instead of passing in silence.
 *
 * `NodeJwksHttp` of `@effect-jwks/node` is such a transport.
 */
import * as Context from "effect/Context"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"
import { AddressRefused, describeReason, PinMismatch } from "../JwksError.ts"

/** What one request asks of the transport. */
export interface TransportDemand {
  /**
   * Base64 SHA-256 digests of SubjectPublicKeyInfo; a certificate of the verified chain must have one of
   * these keys. Empty: any key will do.
   */
  readonly pins: ReadonlyArray<string>
  /** The hosts that the registry's operator exempts from the address rules; `true` for all. */
  readonly allowPrivateAddresses: boolean | ReadonlyArray<string>
  /**
   * Tells that `response` came over a connection whose certificates matched one of `pins`. Counts for this
   * very response object alone: one that was made anew from it needs its own word.
   */
  readonly attest: (response: HttpClientResponse.HttpClientResponse, pins: ReadonlyArray<string>) => void
}

/** The demand of the running fiber; asks for nothing, and exempts no host, where nobody has provided one. */
export const TransportDemand = Context.Reference<TransportDemand>("@effect-jwks/core/TransportDemand", {
  defaultValue: () => ({ pins: [], allowPrivateAddresses: false, attest: () => {} }),
})

/** What a transport can enforce. */
export interface TransportGuards {
  /** It checks `pins` and attests each response to a request that has some. */
  readonly pins: boolean
}

/**
 * What the transport of a registry's layer can enforce: nothing, unless a transport's layer says otherwise
 * beside its `HttpClient`.
 */
export const TransportGuards = Context.Reference<TransportGuards>("@effect-jwks/core/TransportGuards", {
  defaultValue: () => ({ pins: false }),
})

/** A transport refused to talk to a server; the cause of its `HttpClientError`. */
export class TransportRefused extends Schema.TaggedError<TransportRefused>()("TransportRefused", {
  reason: Schema.Union([AddressRefused, PinMismatch]),
}) {
  override get message(): string {
    return describeReason(this.reason)
  }
}
