/**
 * Signs snapshots and checks signatures: HMAC-SHA-256 (RFC 2104) over the exact text that is stored and
 * whose it is, so that neither can be exchanged.
 *
 * A sealed snapshot is one text: `effect-jwks/1 <signature> <payload>`, the signature in base64url, or `-`.
 */
import * as Mac from "effect/crypto/Mac"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
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
  readonly seal: (owner: SnapshotOwner, payload: string) => Effect.Effect<string>
  /** The payload of a stored text that is what it claims to be. */
  readonly open: (owner: SnapshotOwner, text: string) => Effect.Effect<Result.Result<string, SnapshotRule>>
  /** Whether the snapshots that it seals can be opened by another process. */
  readonly outlivesProcess: boolean
}

const version = "1"

const utf8 = new TextEncoder()

const signedBytes = (owner: SnapshotOwner, payload: string): Uint8Array =>
  utf8.encode(`effect-jwks snapshot ${version}\n${ownerText(owner)}\n${payload}`)

/** Effect's, over the hash that core has: WebCrypto's promises would put off every look at a snapshot. */
const macLayer = Mac.layerWebCryptoWith({
  hmac: (_hash, key, data) => hmacSha256(key, data),
}).pipe(Layer.provide(SecureRandom.layerWebCrypto))

/** The key that signs where none is given: made once, so that a layer finds what another of the process wrote. */
let processKey: Mac.Key | undefined

const keyOfProcess = (mac: Mac.Mac["Service"]): Effect.Effect<Mac.Key> =>
  Effect.suspend(() => {
    if (processKey !== undefined) return Effect.succeed(processKey)
    return Effect.map(Effect.orDie(mac.generateKey(Mac.hmacSha256)), (key) => (processKey ??= key))
  })

const shape = /^effect-jwks\/(\d{1,6}) (-|[A-Za-z0-9_-]{43}) /

/** Whether a text bears a signature, good or not. */
export const isSigned = (text: string): boolean => shape.exec(text)?.[2] !== "-"

const refuse = (rule: string): Result.Result<never, SnapshotRule> => Result.fail({ rule })

const unsignedByUs = refuse("is not signed with a key of this registry")

/** Makes the seal of a registry. */
export const makeSeal = (settings: SealSettings): Effect.Effect<SnapshotSeal> =>
  Effect.provide(sealWithMac(settings), macLayer)

const sealWithMac = Effect.fnUntraced(function* (
  settings: SealSettings,
): Effect.fn.Return<SnapshotSeal, never, Mac.Mac> {
  const mac = yield* Mac.Mac
  const keys =
    settings.keys.length > 0
      ? yield* Effect.forEach(settings.keys, (bytes) => Effect.orDie(Mac.key(Mac.hmacSha256, bytes)))
      : settings.unsigned
        ? []
        : [yield* keyOfProcess(mac)]
  const [signingKey] = keys

  const isOneOfOurs = (tag: Uint8Array, data: Uint8Array, index = 0): Effect.Effect<boolean> => {
    const key = keys[index]
    if (key === undefined) return Effect.succeed(false)
    return Effect.flatMap(Effect.orDie(mac.verify(key, tag, data)), (isGood) =>
      isGood ? Effect.succeed(true) : isOneOfOurs(tag, data, index + 1),
    )
  }

  return {
    outlivesProcess: settings.keys.length > 0 || settings.unsigned,
    seal: (owner, payload) =>
      signingKey === undefined
        ? Effect.succeed(`effect-jwks/${version} - ${payload}`)
        : Effect.map(
            Effect.orDie(mac.sign(signingKey, signedBytes(owner, payload))),
            (tag) => `effect-jwks/${version} ${encode(tag)} ${payload}`,
          ),
    open: (owner, text) => {
      const [head, written, signature] = shape.exec(text) ?? []
      if (head === undefined || signature === undefined) return Effect.succeed(refuse("has not the form of a snapshot"))
      if (written !== version) {
        return Effect.succeed(refuse(`is of version ${written}, and only ${version} is known`))
      }
      const payload = text.slice(head.length)
      if (signature === "-") {
        return Effect.succeed(settings.unsigned ? Result.succeed(payload) : refuse("is not signed"))
      }
      // In UTF-8 half a surrogate pair can not be told from U+FFFD; what we write has none.
      if (!payload.isWellFormed()) return Effect.succeed(unsignedByUs)
      const tag = decode(signature)
      // Of the last digit two bits are in no byte: they are part of the text all the same.
      if (tag === undefined || encode(tag) !== signature) return Effect.succeed(unsignedByUs)
      return Effect.map(isOneOfOurs(tag, signedBytes(owner, payload)), (isGood) =>
        isGood ? Result.succeed(payload) : unsignedByUs,
      )
    },
  }
})
