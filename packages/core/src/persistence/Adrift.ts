/**
 * Operations that may still change what is stored, though nobody waits for them: writes and removals that were
 * given up, and reads under way, since Effect's stores remove what they find too old.
 */
import type * as Fiber from "effect/Fiber"

/** So many may be given up and not over, each with its texts; then the store is left alone. */
const mostGivenUp = 8

export class Adrift {
  /** The ids of each. */
  readonly #operations = new Set<ReadonlyArray<string>>()
  #givenUp = 0
  /** Told when one is over: it may have undone what was done since. */
  onLanded: (ids: ReadonlyArray<string>) => void = () => {}

  /** Whether one may still change what is stored of an id. */
  has(id: string): boolean {
    for (const ids of this.#operations) if (ids.includes(id)) return true
    return false
  }

  /** Whether no more should be begun before one of them is over. */
  get isFull(): boolean {
    return this.#givenUp >= mostGivenUp
  }

  /** A read begins; what it answers with ends it. */
  read(ids: ReadonlyArray<string>): () => void {
    const operation = ids.slice()
    this.#operations.add(operation)
    return () => this.#land(operation)
  }

  /** Nobody waits for an operation any more. */
  giveUp(fiber: Fiber.Fiber<unknown, unknown>, ids: ReadonlyArray<string>): void {
    const operation = ids.slice()
    this.#operations.add(operation)
    this.#givenUp += 1
    fiber.addObserver(() => {
      this.#givenUp -= 1
      this.#land(operation)
    })
  }

  #land(operation: ReadonlyArray<string>): void {
    this.#operations.delete(operation)
    this.onLanded(operation)
  }
}
