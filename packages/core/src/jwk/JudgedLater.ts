/**
 * A key set that the key policy has judged before, in another process: it is judged again when somebody
 * first looks at its keys, so that a start with ten thousand of them need not wait for all.
 */
import type { DroppedKey, ParsedJwks, UsableKey } from "./Jwks.ts"

/** Stands for what `judge` makes of the keys that `read` brings, `usableKeys` of which are known to be usable. */
export class JudgedLater implements ParsedJwks {
  readonly usableKeys: number
  readonly #read: () => ReadonlyArray<unknown>
  readonly #judge: (keys: ReadonlyArray<unknown>) => ParsedJwks
  #source: ReadonlyArray<unknown> | undefined
  #judged: ParsedJwks | undefined

  constructor(
    usableKeys: number,
    read: () => ReadonlyArray<unknown>,
    judge: (keys: ReadonlyArray<unknown>) => ParsedJwks,
  ) {
    this.usableKeys = usableKeys
    this.#read = read
    this.#judge = judge
  }

  /** Whether nobody has looked at the keys yet. */
  get isPending(): boolean {
    return this.#judged === undefined
  }

  get source(): ReadonlyArray<unknown> {
    return (this.#source ??= this.#read())
  }

  get keys(): ReadonlyArray<UsableKey> {
    return this.#now.keys
  }

  get byKid(): ReadonlyMap<string | undefined, ReadonlyArray<UsableKey>> {
    return this.#now.byKid
  }

  get dropped(): ReadonlyArray<DroppedKey> {
    return this.#now.dropped
  }

  get droppedAt(): ReadonlyArray<number> {
    return this.#now.droppedAt
  }

  get #now(): ParsedJwks {
    return (this.#judged ??= this.#judge(this.source))
  }
}

/** Whether a set is still to be judged. */
export const isPending = (jwks: ParsedJwks): boolean => jwks instanceof JudgedLater && jwks.isPending

/** How many keys of a set are usable; asks for no judgement. */
export const usableKeys = (jwks: ParsedJwks): number =>
  jwks instanceof JudgedLater && jwks.isPending ? jwks.usableKeys : jwks.keys.length
