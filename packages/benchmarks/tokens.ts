/**
 * The tenants, their keys, and the tokens whose keys are looked up: the same in every run and for every
 * contestant.
 */
import { createHash } from "node:crypto"

/** An RSA public key as providers publish it. */
export interface RsaJwk {
  readonly kty: "RSA"
  readonly use: "sig"
  readonly alg: "RS256"
  readonly kid: string
  readonly n: string
  readonly e: string
}

/** A tenant's key set. */
export interface TenantKeys {
  readonly tenant: string
  readonly keys: ReadonlyArray<RsaJwk>
}

/** What a verifier has in hand once it has decoded a token. */
export interface Token {
  readonly tenant: string
  readonly kid: string
  readonly header: { readonly alg: "RS256"; readonly kid: string }
  readonly payload: { readonly iss: string }
}

/**
 * A modulus of 2048 bits that nobody has factors of. Nothing is verified with these keys, so it takes no
 * primes: odd and with the top bit set is all that libraries and key policies ask, and 4,000 of them are
 * made in no time.
 */
const modulusOf = (seed: string): string => {
  const modulus = createHash("shake256", { outputLength: 256 }).update(seed).digest()
  modulus.writeUInt8(modulus.readUInt8(0) | 0x80, 0)
  modulus.writeUInt8(modulus.readUInt8(255) | 0x01, 255)
  return modulus.toString("base64url")
}

const kidOf = (seed: string): string => createHash("shake256", { outputLength: 16 }).update(seed).digest("base64url")

/** Key sets of `tenants` tenants with `keysEach` distinct keys each. */
export const makeTenants = (tenants: number, keysEach: number): ReadonlyArray<TenantKeys> =>
  Array.from({ length: tenants }, (_, t) => {
    const tenant = `org_${String(t + 1).padStart(4, "0")}`
    return {
      tenant,
      keys: Array.from({ length: keysEach }, (_, k) => {
        const seed = `${tenant}/${k + 1}`
        return { kty: "RSA", use: "sig", alg: "RS256", kid: kidOf(`kid ${seed}`), n: modulusOf(seed), e: "AQAB" }
      }),
    }
  })

/** One token for every key, decoded from text: its strings are not the very objects that a cache holds. */
export const makeTokens = (
  tenants: ReadonlyArray<TenantKeys>,
  issuerOf: (tenant: string) => string,
): ReadonlyArray<Token> =>
  tenants.flatMap(({ keys, tenant }) =>
    keys.map(({ alg, kid }): Token =>
      JSON.parse(JSON.stringify({ tenant, kid, header: { alg, kid }, payload: { iss: issuerOf(tenant) } })),
    ),
  )

/** `count` random picks, each token as likely as any other (mulberry32 with a fixed seed). */
export const makeLookups = (tokens: ReadonlyArray<Token>, count: number): ReadonlyArray<Token> => {
  let state = 0x9e3779b9
  return Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0
    let hash = Math.imul(state ^ (state >>> 15), 1 | state)
    hash = (hash + Math.imul(hash ^ (hash >>> 7), 61 | hash)) ^ hash
    const token = tokens[((hash ^ (hash >>> 14)) >>> 0) % tokens.length]
    if (token === undefined) throw new RangeError("no tokens to pick from")
    return token
  })
}
