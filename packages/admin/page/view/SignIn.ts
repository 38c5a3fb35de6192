/**
 * The form that asks for the token.
 */
import { inBackground } from "../net/Background.ts"
import { problemText } from "../net/AdminApi.ts"
import type { AdminApi } from "../net/AdminApi.ts"
import type { Session } from "../net/Session.ts"
import { byId, setText } from "./element.ts"

export type SignInReason = "needed" | "wrong"

const wrongText = "This token is not accepted."

export class SignIn {
  readonly #dialog = byId("sign-in", HTMLDialogElement)
  readonly #form = byId("sign-in-form", HTMLFormElement)
  readonly #token = byId("token", HTMLInputElement)
  readonly #problem = byId("sign-in-problem", HTMLElement)
  readonly #api: AdminApi
  readonly #session: Session
  #waiting: Array<(isIn: boolean) => void> = []

  constructor(api: AdminApi, session: Session) {
    this.#api = api
    this.#session = session
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault()
      inBackground(this.#try())
    })
    byId("sign-in-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close())
    this.#dialog.addEventListener("close", () => {
      // The event comes a task later. By then the form may be asked for again, and that question is open.
      if (this.#dialog.open) return
      this.#token.value = ""
      this.#answer(false)
    })
  }

  /** Shows the form; whether a token was given that the server takes. */
  ask(reason: SignInReason): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#complain(reason === "wrong" ? wrongText : "")
      if (!this.#dialog.open) this.#dialog.showModal()
      this.#token.focus()
    })
  }

  async #try(): Promise<void> {
    const token = this.#token.value.trim()
    // A header takes no other characters, and a pasted line end is nobody's wish.
    if (token === "" || /[^\x21-\x7e]/.test(token)) {
      this.#complain(token === "" ? "Enter the token." : wrongText)
      this.#token.focus()
      return
    }
    try {
      if (await this.#api.accepts(token)) {
        this.#session.set(token)
        this.#answer(true)
        this.#dialog.close()
        return
      }
      this.#complain(wrongText)
    } catch (error) {
      this.#complain(problemText(error))
    }
    this.#token.select()
    this.#token.focus()
  }

  #complain(text: string): void {
    setText(this.#problem, text)
    if (text === "") this.#token.removeAttribute("aria-invalid")
    else this.#token.setAttribute("aria-invalid", "true")
  }

  #answer(isIn: boolean): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve(isIn)
  }
}
