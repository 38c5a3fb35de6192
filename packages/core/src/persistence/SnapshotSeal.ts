/**
 * Signs snapshots and checks signatures: HMAC-SHA-256 (RFC 2104) over the exact text that is stored and
 * whose it is, so that neither can be exchanged.
 *
 * A sealed snapshot is one text: `effect-jwks/1 <signature> <payload>`, the signature in base64url, or `-`.
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { decode, encode } from "../jwk/Base64url.ts"
import { hmacSha256 } from "../jwk/Sha256.ts"
import type { SnapshotRule } from "./Snapshot.ts"
import { ownerText, type SnapshotOwner } from "./SnapshotId.ts"

/** How snapshots are signed. */
export interface SealSettings {
  /** The first signs, each may have signed; empty for the key of this process. */
  readonly keys: ReadonlyArray<Uint8Array>
  /** Whether unsigned snapshots are accepted, and written where there is no key. */
  readonly unsigned: boolean
}

/** Signs snapshots and checks signatures. */
export interface SnapshotSeal {
  /** The text to store for a payload. */
  readonly seal: (owner: SnapshotOwner, payload: string) => string
  /** The payload of a stored text that is what it claims to be. */
  readonly open: (owner: SnapshotOwner, text: string) => Result.Result<string, SnapshotRule>
  /** Whether the snapshots that it seals can be opened by another process. */
  readonly outlivesProcess: boolean
}

const version = "1"

const signedText = (owner: SnapshotOwner, payload: string): string =>
  `effect-jwks snapshot ${version}\n${ownerText(owner)}\n${payload}`

/** The key that signs where none is given: made once, so that a layer finds what another of the process wrote. */
let processKey: Uint8Array | undefined

const keyOfProcess: Effect.Effect<Uint8Array> = Effect.suspend(() =>
  processKey === undefined
    ? SecureRandom.SecureRandom.pipe(
        Effect.flatMap((random) => random.randomBytes(32)),
        Effect.map((key) => (processKey ??= key)),
        Effect.provide(SecureRandom.layerWebCrypto),
      )
    : Effect.succeed(processKey),
)

/** Compares in a time that does not depend on what differs. */
const isEqual = (one: Uint8Array, other: Uint8Array): boolean => {
  let difference = one.length ^ other.length
  for (let i = 0; i < other.length; i++) difference |= (one[i] ?? 0) ^ (other[i] ?? 0)
  return difference === 0
}

const shape = /^effect-jwks\/(\d{1,6}) (-|[A-Za-z0-9_-]{43}) /

/** Whether a text bears a signature, good or not. */
export const isSigned = (text: string): boolean => shape.exec(text)?.[2] !== "-"

const refuse = (rule: string): Result.Result<never, SnapshotRule> => Result.fail({ rule })

const unsignedByUs = refuse("is not signed with a key of this registry")

/** Makes the seal of a registry. */
export const makeSeal = Effect.fnUntraced(function* ({ keys, unsigned }: SealSettings): Effect.fn.Return<SnapshotSeal> {
  const macs = (keys.length > 0 || unsigned ? keys : [yield* keyOfProcess]).map(hmacSha256)
  const [sign] = macs
  return {
    outlivesProcess: keys.length > 0 || unsigned,
    seal: (owner, payload) => {
      const signature = sign === undefined ? "-" : encode(sign(signedText(owner, payload)))
      return `effect-jwks/${version} ${signature} ${payload}`
    },
    open: (owner, text) => {
      const [head, written, signature] = shape.exec(text) ?? []
      if (head === undefined || signature === undefined) return refuse("has not the form of a snapshot")
      if (written !== version) return refuse(`is of version ${written}, and only ${version} is known`)
      const payload = text.slice(head.length)
      if (signature === "-") return unsigned ? Result.succeed(payload) : refuse("is not signed")
      // In UTF-8 half a surrogate pair can not be told from U+FFFD; what we write has none.
      if (!payload.isWellFormed()) return unsignedByUs
      const tag = decode(signature)
      // Of the last digit two bits are in no byte: they are part of the text all the same.
      if (tag === undefined || encode(tag) !== signature) return unsignedByUs
      const signed = signedText(owner, payload)
      return macs.some((mac) => isEqual(mac(signed), tag)) ? Result.succeed(payload) : unsignedByUs
    },
  }
})
