/**
 * The token, for as long as the tab lives. `sessionStorage` may be forbidden by the browser; then it lives until the
 * page is left.
 */

const name = "jwks-admin-token"

export class Session {
  #token: string | undefined

  constructor() {
    try {
      this.#token = sessionStorage.getItem(name) ?? undefined
    } catch {
      this.#token = undefined
    }
  }

  get token(): string | undefined {
    return this.#token
  }

  set(token: string): void {
    this.#token = token
    try {
      sessionStorage.setItem(name, token)
    } catch {
      // It stays in memory.
    }
  }

  forget(): void {
    this.#token = undefined
    try {
      sessionStorage.removeItem(name)
    } catch {
      // There is none.
    }
  }
}
