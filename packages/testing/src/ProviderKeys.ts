/**
 * The keys of one provider: which are published, which one signs, and the document that says so.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { JWTPayload } from "jose"
import * as Representation from "./Representation.ts"
import * as SigningKey from "./SigningKey.ts"

/** How the keys of a provider begin. */
export interface ProviderKeysOptions {
  /** Algorithm of the keys that say nothing else. Default: `ES256`, the cheapest to generate. */
  readonly alg?: SigningKey.SigningAlgorithm
  /** The keys to begin with; the first one signs. Default: one. */
  readonly keys?: ReadonlyArray<SigningKey.SigningKeyOptions>
  /** Keys of `alg` that are generated ahead, so that `rotate` and `add` need not wait. Default: 3. */
  readonly spareKeys?: number
}

/** What a rotation does. */
export interface RotateOptions extends SigningKey.SigningKeyOptions {
  /** `false` takes every other key out of the document. Default: `true`. */
  readonly keepOld?: boolean
}

/** Who signs, and how. */
export interface SignOptions extends SigningKey.SignOptions {
  /** The key that signs, published or not: the `kid` of a key that this provider ever had. Default: the current one. */
  readonly kid?: string
}

/**
 * The keys of one provider.
 *
 * **Details**
 *
 * `current` and `document` say how things stand at the moment they are read. Nothing waits while there
 * are spare keys left; later keys are generated on the spot.
 *
 * **Example** (A rotation that forgets the old key)
 *
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { ProviderKeys } from "@effect-jwks/testing"
 *
 * const program = Effect.gen(function* () {
 *   const keys = yield* ProviderKeys.make({ alg: "RS256" })
 *   const old = keys.current
 *   yield* keys.rotate({ keepOld: false })
 *   // Signed by a key that is published no more.
 *   return yield* keys.sign({ sub: "somebody" }, { kid: old.kid })
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export interface ProviderKeys {
  /** The key that signs. */
  readonly current: SigningKey.SigningKey
  /** What is published: a JWK Set (RFC 7517 section 5), unless `publishRaw` made it something else. */
  readonly document: Representation.Representation
  /** Publishes a new key, which signs from now on. */
  readonly rotate: (options?: RotateOptions) => Effect.Effect<SigningKey.SigningKey>
  /** Publishes a new key that does not sign yet. */
  readonly add: (options?: SigningKey.SigningKeyOptions) => Effect.Effect<SigningKey.SigningKey>
  /** Publishes JWKs as they are, beside the keys that are there. */
  readonly publish: (jwks: Iterable<Readonly<Record<string, unknown>>>) => Effect.Effect<void>
  /** Takes every key of this `kid` out of the document; `false` if there was none. It may still sign. */
  readonly remove: (kid: string) => Effect.Effect<boolean>
  /** Publishes a lie: text and bytes as they are, anything else as JSON, until the keys change again. */
  readonly publishRaw: (document: unknown) => Effect.Effect<void>
  /** Signs claims as they are: a JWT in compact serialization. Dies if the provider never had the `kid`. */
  readonly sign: (claims: JWTPayload, options?: SignOptions) => Effect.Effect<string>
}

/** Generates the first keys and the spare ones. RSA pairs go back to the pool when the scope closes. */
export const make = Effect.fnUntraced(function* (options: ProviderKeysOptions = {}) {
  const { alg: defaultAlg = "ES256", keys: initial = [{}], spareKeys = 3 } = options
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope

  const spares: Array<SigningKey.KeyPair> = []
  const signers = new Map<string, SigningKey.SigningKey>()

  const generate = Effect.fnUntraced(function* (wanted: SigningKey.SigningKeyOptions) {
    const { alg = defaultAlg, rsaBits } = wanted
    const spare = alg === defaultAlg && rsaBits === undefined ? spares.shift() : undefined
    const key = SigningKey.name(spare ?? (yield* Scope.provide(SigningKey.acquire(alg, rsaBits), scope)), alg, wanted)
    signers.set(key.kid, key)
    return key
  })

  const first = yield* Effect.forEach(initial, generate)
  let current = first[0] ?? (yield* generate({}))
  spares.push(...(yield* Effect.replicateEffect(SigningKey.acquire(defaultAlg), spareKeys)))

  let published: ReadonlyArray<Readonly<Record<string, unknown>>> = first.map((key) => key.publicJwk)
  let document = Representation.make({ keys: published }, clock.currentTimeMillisUnsafe())

  const replace = (next: unknown) => {
    document = Representation.next(document, next, clock.currentTimeMillisUnsafe())
  }
  const replaceKeys = (keys: typeof published) => {
    published = keys
    replace({ keys })
  }

  const self: ProviderKeys = {
    get current() {
      return current
    },
    get document() {
      return document
    },
    rotate: Effect.fnUntraced(function* ({ keepOld = true, ...wanted } = {}) {
      current = yield* generate(wanted)
      replaceKeys(keepOld ? [...published, current.publicJwk] : [current.publicJwk])
      return current
    }),
    add: Effect.fnUntraced(function* (wanted = {}) {
      const key = yield* generate(wanted)
      replaceKeys([...published, key.publicJwk])
      return key
    }),
    publish: (jwks) => Effect.sync(() => replaceKeys([...published, ...jwks])),
    remove: (kid) =>
      Effect.sync(() => {
        const rest = published.filter((jwk) => jwk["kid"] !== kid)
        if (rest.length === published.length) return false
        replaceKeys(rest)
        return true
      }),
    publishRaw: (raw) => Effect.sync(() => replace(raw)),
    sign: (claims, { kid, ...how } = {}) => {
      const key = kid === undefined ? current : signers.get(kid)
      return key === undefined
        ? Effect.die(
            new Error(
              `this provider never had a key with kid ${JSON.stringify(kid)}; to forge one, write { header: { kid } }`,
            ),
          )
        : SigningKey.sign(key, claims, how)
    },
  }
  return self
})
