/**
 * The errors of one provider, with the fields that each case has. Pure.
 */
import { type Instant, remaining } from "../Instant.ts"
import { JwksUnavailable, KeyAmbiguous, KeyNotFound, type UnavailableReason } from "../JwksError.ts"
import type { DropReason } from "../jwk/Jwks.ts"
import type { Provider } from "../Provider.ts"
import type { Question } from "./Question.ts"

export class Refusals {
  readonly #who: { readonly tenant: string; readonly provider: string }

  constructor({ provider, tenant }: Provider) {
    this.#who = { tenant, provider }
  }

  /** The provider itself has confirmed that it has no such key. */
  absent(question: Question): KeyNotFound {
    return new KeyNotFound({ ...this.#who, ...kidOf(question), confirmed: true })
  }

  /** The document holds this kid, but its key is no answer. */
  dropped(question: Question, dropped: DropReason): KeyNotFound {
    return new KeyNotFound({ ...this.#who, ...kidOf(question), confirmed: true, dropped })
  }

  /** The set lacks the kid, and the provider can not be asked now. */
  unproven(question: Question, retryAfterMillis: number): KeyNotFound {
    return new KeyNotFound({
      ...this.#who,
      ...kidOf(question),
      confirmed: false,
      retryAfterMillis: Math.ceil(retryAfterMillis),
    })
  }

  /** Different keys fit. */
  ambiguous(question: Question, thumbprints: ReadonlyArray<string>): KeyAmbiguous {
    return new KeyAmbiguous({ ...this.#who, ...kidOf(question), thumbprints })
  }

  /** No usable set, and asking again before `retryAt` will not help. */
  unavailable(reason: UnavailableReason, retryAt: Instant, now: Instant): JwksUnavailable {
    return new JwksUnavailable({ ...this.#who, reason, retryAfterMillis: Math.ceil(remaining(retryAt, now)) })
  }

  /** The layer was closed. */
  closed(): JwksUnavailable {
    return new JwksUnavailable({ ...this.#who, reason: { _tag: "RegistryClosed" } })
  }
}

/** Token headers are not typed: what is no text is not repeated. */
const kidOf = ({ kid }: Question) => (typeof kid === "string" ? { kid } : {})
