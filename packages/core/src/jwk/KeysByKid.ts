/**
 * The index of a key set by `kid`, which also finds entries that occur twice.
 */
import type { UsableKey } from "./Jwks.ts"

/** Whether two keys of one `kid` are the same entry twice. */
const isRepetition = (a: UsableKey, b: UsableKey): boolean =>
  a.thumbprint === b.thumbprint &&
  // Nearly always the same list.
  (a.algorithms === b.algorithms || a.algorithms.join() === b.algorithms.join())

/**
 * 30 bits of the thumbprint: to find them takes a tenth of the time that it takes to find a text. Whoever
 * wants a list of keys that have them in common has to make a billion keys for each.
 */
const fingerprint = ({ thumbprint }: UsableKey): number => {
  let bits = 0
  for (let i = 0; i < 5; i++) bits = (bits << 6) ^ thumbprint.charCodeAt(i)
  return bits
}

/** Keys of one `kid` by fingerprint. */
class FingerprintIndex {
  private readonly lists = new Map<number, Array<UsableKey>>()

  constructor(keys: ReadonlyArray<UsableKey>) {
    for (const key of keys) this.like(key).push(key)
  }

  /** Those that the key could be a repetition of. */
  like(key: UsableKey): Array<UsableKey> {
    const bits = fingerprint(key)
    const found = this.lists.get(bits)
    if (found !== undefined) return found
    const list: Array<UsableKey> = []
    this.lists.set(bits, list)
    return list
  }
}

/** As many keys of one `kid` are looked through; where keys have none, there may be thousands. */
const shortList = 8

/** Usable keys by `kid`, in document order; the same key twice is one entry. */
export class KeysByKid {
  readonly lists = new Map<string | undefined, Array<UsableKey>>()
  private readonly indexes = new Map<string | undefined, FingerprintIndex>()

  /** Adds a key; `false` where it is there already. */
  add(key: UsableKey): boolean {
    const namesakes = this.lists.get(key.kid)
    if (namesakes === undefined) {
      this.lists.set(key.kid, [key])
      return true
    }
    const candidates = namesakes.length <= shortList ? namesakes : this.indexOf(key.kid, namesakes).like(key)
    for (const candidate of candidates) if (isRepetition(candidate, key)) return false
    namesakes.push(key)
    if (candidates !== namesakes) candidates.push(key)
    return true
  }

  private indexOf(kid: string | undefined, namesakes: ReadonlyArray<UsableKey>): FingerprintIndex {
    const found = this.indexes.get(kid)
    if (found !== undefined) return found
    const index = new FingerprintIndex(namesakes)
    this.indexes.set(kid, index)
    return index
  }
}
