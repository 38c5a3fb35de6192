/**
 * Where a provider's snapshot is stored.
 */
import { sha256 } from "../jwk/Sha256.ts"

/** Whose snapshot it is. */
export interface SnapshotOwner {
  readonly tenant: string
  readonly provider: string
}

/** The owner as one text; no two owners have the same. */
export const ownerText = ({ provider, tenant }: SnapshotOwner): string => JSON.stringify([tenant, provider])

/** What file systems and databases take as it is, of any id; for people who look. */
const readable = (id: string): string =>
  id
    .slice(0, 32)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, "_")

const digits = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0))

/** Hexadecimal text; made in one piece, since it is used as a key at once. */
const hexadecimal = (bytes: Uint8Array): string =>
  String.fromCharCode(...Array.from(bytes, (byte) => [digits[byte >>> 4] ?? 0, digits[byte & 15] ?? 0]).flat())

/**
 * The storage key of an owner's snapshot, such as `acme.auth0.5f0c...`.
 *
 * **Details**
 *
 * At most 130 lower-case characters of `[a-z0-9._-]`, so that it is a file name on every file system. The
 * digest at its end tells owners apart; what stands before it is for people.
 */
export const snapshotId = (owner: SnapshotOwner): string => {
  return `${readable(owner.tenant)}.${readable(owner.provider)}.${hexadecimal(sha256(ownerText(owner)))}`
}
