/**
 * What a screen reader hears of changes that nobody asked for: at most one sentence in a while, however much happens.
 */
import { setText } from "./element.ts"

const gap = 10_000

export class Announcer {
  readonly #region: Element
  #waiting: Array<string> = []
  #isPlanned = false
  #spokenAt = -gap

  constructor(region: Element) {
    this.#region = region
  }

  /** The answer to something that the viewer did: at once. */
  say(sentence: string): void {
    // The same words again would be no change, and not be heard.
    setText(this.#region, this.#region.textContent === sentence ? `${sentence}\u00a0` : sentence)
  }

  /** A change; several within a while become one sentence. */
  report(sentence: string): void {
    this.#waiting.push(sentence)
    if (this.#isPlanned) return
    this.#isPlanned = true
    setTimeout(() => this.#speak(), Math.max(500, this.#spokenAt + gap - Date.now()))
  }

  #speak(): void {
    this.#isPlanned = false
    this.#spokenAt = Date.now()
    const [first, ...others] = this.#waiting
    this.#waiting = []
    if (first !== undefined) this.say(others.length === 0 ? first : `${first} ${others.length} more changed.`)
  }
}
