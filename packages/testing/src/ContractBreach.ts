/**
 * What a rule of a contract ends with where it is broken.
 */
import * as Schema from "effect/Schema"

/** A backend does not keep to a rule. */
export class ContractBreach extends Schema.TaggedError<ContractBreach>()("ContractBreach", {
  /** The name of the rule. */
  rule: Schema.String,
  /** What the backend did instead. */
  found: Schema.String,
  /** What it failed with, where it failed. */
  cause: Schema.optionalKey(Schema.Defect()),
}) {
  override get message(): string {
    return `does not hold that a backend ${this.rule}: ${this.found}`
  }
}
