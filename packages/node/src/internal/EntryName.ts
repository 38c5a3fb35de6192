/**
 * The names of the files of a store: one for each key, on every file system. In a name of an entry nothing
 * is upper case, nothing but `[a-z0-9._{}%~-]`, and at most 225 characters; all others are no entries.
 */
import { createHash } from "node:crypto"

const suffix = ".json"

/** Names have 255 bytes on the usual file systems, and fewer on some that encrypt. */
const maxLength = 220

/** Of a key that is too long, so much is written as it is. */
const keptLength = 120

const hexByte = (byte: number): string => `%${byte.toString(16).padStart(2, "0")}`

const utf8 = new TextEncoder()

/** What is written of a key's beginning stands at the beginning of what is written of the key. */
const encode = (text: string): string =>
  text.replaceAll(/[^a-z0-9._{}-]/gu, (character) => Array.from(utf8.encode(character), hexByte).join(""))

/** The name of a key's file; no two keys have the same, also where `A` and `a` are the same. */
export const entryName = (key: string): string => {
  const name = encode(key)
  if (name.length <= maxLength) return `${name}${suffix}`
  // A tilde is in no name of a key that is short enough.
  return `${name.slice(0, keptLength)}~${createHash("sha256").update(key).digest("hex")}${suffix}`
}

/** Whether a file is an entry. */
export const isEntryName = (name: string): boolean => name.endsWith(suffix)

/** Whether an entry's key begins so. Of a key that is too long only its {@link keptLength} first are known. */
export const hasPrefix = (name: string, prefix: string): boolean => {
  const encoded = encode(prefix)
  return name.startsWith(encoded) && (encoded.length <= keptLength || !name.includes("~"))
}

/** The beginning of a key, or all of it. */
export const keyOf = (name: string): string => {
  const [encoded = ""] = name.slice(0, -suffix.length).split("~")
  return Buffer.from(
    encoded
      .replaceAll(/%(?![0-9a-f]{2})[0-9a-f]?$/g, "")
      .replaceAll(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  ).toString("utf8")
}

/** The name of a file that is being written; `unique` is of no other one. */
export const temporaryName = (unique: string): string => `.${unique}.tmp`

/** Whether a file was or is being written by this store. */
export const isTemporaryName = (name: string): boolean =>
  /^\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.tmp$/.test(name)
