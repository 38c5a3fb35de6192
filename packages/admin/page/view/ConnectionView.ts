/**
 * Whether what is shown is live. Trouble is told by a strip across the page that can not be overlooked, also by words.
 */
import { lengthText } from "../model/TimeText.ts"
import type { StreamState } from "../net/LiveStream.ts"
import { byId, setText } from "./element.ts"

export class ConnectionView {
  readonly #live = byId("live", HTMLElement)
  readonly #text = byId("live-text", HTMLElement)
  readonly #strip = byId("lost", HTMLElement)
  readonly #lostText = byId("lost-text", HTMLElement)
  readonly #wait = byId("lost-wait", HTMLElement)
  #state: StreamState | undefined
  #hasBeenLost = false
  #problem: string | undefined

  constructor(retry: () => void) {
    byId("retry", HTMLButtonElement).addEventListener("click", retry)
  }

  /** `undefined`: nobody listens, since nobody is signed in. */
  stream(state: StreamState | undefined): void {
    this.#state = state
    if (state?.kind === "lost") this.#hasBeenLost = true
    if (state === undefined || state.kind === "live") this.#hasBeenLost = false
    this.#draw()
  }

  /** A request that failed, in words; `undefined` once one succeeds. */
  problem(text: string | undefined): void {
    this.#problem = text
    this.#draw()
  }

  tick(): void {
    this.#draw()
  }

  #draw(): void {
    const state = this.#state
    const kind = state === undefined ? "off" : this.#hasBeenLost ? "lost" : state.kind
    this.#live.dataset["kind"] = kind
    setText(this.#text, { off: "Signed out", lost: "Not live", connecting: "Connecting", live: "Live" }[kind])
    const isTrouble = kind === "lost" || this.#problem !== undefined
    this.#strip.dataset["shown"] = isTrouble ? "yes" : "no"
    setText(
      this.#lostText,
      !isTrouble
        ? ""
        : kind === "lost"
          ? "Live updates are lost. What is shown may be out of date."
          : `The last update failed. ${this.#problem ?? ""}`,
    )
    // The seconds tick outside the live region: a screen reader hears of the loss, not of every second.
    setText(
      this.#wait,
      kind !== "lost" || state === undefined
        ? ""
        : state.kind === "lost"
          ? `Next attempt in ${lengthText(state.retryAt - Date.now() + 999)}.`
          : "Connecting.",
    )
    byId("retry", HTMLButtonElement).hidden = !isTrouble
  }
}
