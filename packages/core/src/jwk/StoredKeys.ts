/**
 * The entries of a JWK Set as they may be stored: what can never be a key keeps what tells why, and nothing else,
 * since a provider may have published there what it should not have. Pure.
 */
import { isJsonObject, type JsonMembers } from "../JsonObject.ts"
import { isPending } from "./JudgedLater.ts"
import type { DropReason, ParsedJwks } from "./Jwks.ts"

/** Those may be keys under another policy. */
const policyReasons: ReadonlySet<DropReason> = new Set<DropReason>(["AlgorithmNotAllowed", "RsaModulusTooSmall"])

/** What the key policy looks at, and what is public by its meaning. */
const tellingMembers = ["kty", "crv", "kid", "use", "key_ops", "alg", "n", "e", "x", "y", "pub"]

/** Anything but text tells as much as `null`: it is not what the member should be. */
const told = (name: string, value: unknown): unknown => {
  if (typeof value === "string") return value
  const isTextList = Array.isArray(value) && value.every((item) => typeof item === "string")
  return name === "key_ops" && isTextList ? value : null
}

/** What of an entry leads to the same reason again. */
const stubOf = (entry: unknown, reason: DropReason): JsonMembers | null => {
  if (!isJsonObject(entry)) return null
  const stub: Record<string, unknown> = {}
  for (const name of tellingMembers) if (Object.hasOwn(entry, name)) stub[name] = told(name, entry[name])
  if (reason === "PrivateKey") stub["d"] = ""
  if (Object.hasOwn(entry, "oth")) stub["oth"] = Array.isArray(entry["oth"]) && entry["oth"].length === 0 ? [] : [""]
  return stub
}

/** The entries of a set as they may be stored. */
export const storedKeys = (jwks: ParsedJwks): ReadonlyArray<unknown> => {
  // What came from the store, and nobody has looked at, is so already.
  if (isPending(jwks) || jwks.dropped.length === 0) return jwks.source
  const stored = jwks.source.slice()
  for (const [i, { reason }] of jwks.dropped.entries()) {
    const index = jwks.droppedAt[i]
    if (index !== undefined && !policyReasons.has(reason)) stored[index] = stubOf(stored[index], reason)
  }
  return stored
}
