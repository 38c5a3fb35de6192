/**
 * What a screen reader hears of changes that nobody asked for: at most one sentence in a while, however much happens.
 */
import { setText } from "./element.ts"

const gap = 10_000

export class Announcer {
  readonly #answers: Element
  readonly #news: Element
  #waiting: Array<string> = []
  #isPlanned = false
  #spokenAt = -gap

  /** Two live regions, so that neither sentence takes the other's place before it is heard. */
  constructor(answers: Element, news: Element) {
    this.#answers = answers
    this.#news = news
  }

  /** The answer to something that the viewer did: at once. */
  say(sentence: string): void {
    speak(this.#answers, sentence)
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
    if (first !== undefined) speak(this.#news, others.length === 0 ? first : `${first} ${others.length} more changed.`)
  }
}

/** The same words again would be no change, and not be heard. */
const speak = (region: Element, sentence: string): void =>
  setText(region, region.textContent === sentence ? `${sentence}\u00a0` : sentence)
