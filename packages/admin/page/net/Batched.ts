/**
 * Work that many things ask for and that is done once for all of them: soon after the first asks, and not more often
 * than every `gap` milliseconds. It rests while nobody looks at the page.
 */
import { inBackground } from "./Background.ts"
export class Batched {
  readonly #work: () => Promise<void>
  readonly #gap: number
  #timer: ReturnType<typeof setTimeout> | undefined
  #isRunning = false
  #isWanted = false
  #earliest = 0

  constructor(gap: number, work: () => Promise<void>) {
    this.#gap = gap
    this.#work = work
    document.addEventListener("visibilitychange", () => this.#plan())
  }

  ask(): void {
    this.#isWanted = true
    this.#plan()
  }

  cancel(): void {
    this.#isWanted = false
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #plan(): void {
    if (!this.#isWanted || this.#isRunning || this.#timer !== undefined || document.hidden) return
    // A little patience takes in the events that come in one breath: failed, backing off, serving stale.
    const wait = Math.max(60, this.#earliest - Date.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      inBackground(this.#run())
    }, wait)
  }

  async #run(): Promise<void> {
    this.#isWanted = false
    this.#isRunning = true
    const begun = Date.now()
    try {
      await this.#work()
    } finally {
      const now = Date.now()
      // A slow server is not asked again at once.
      this.#earliest = now + Math.max(this.#gap, 2 * (now - begun))
      this.#isRunning = false
      this.#plan()
    }
  }
}
