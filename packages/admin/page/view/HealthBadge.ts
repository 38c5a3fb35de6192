/**
 * A health as sign and word; the colour only repeats them.
 */
import { healthText } from "../model/Standing.ts"
import type { Health } from "../model/Wire.ts"
import { element, sign } from "./element.ts"

export class HealthBadge {
  readonly node = element("span", { class: "badge" })
  #health: Health | undefined

  update(health: Health): void {
    if (health === this.#health) return
    this.#health = health
    this.node.dataset["health"] = health
    this.node.replaceChildren(sign(health), healthText(health))
  }
}
