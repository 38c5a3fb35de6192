/**
 * What every kind of option is made of, with a message for each breach that says what to write instead:
 * the packages of this family check what their callers write in one manner.
 *
 * **Gotchas**
 *
 * For those packages; what is in here may change with any version.
 */
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** One breach: the field, and what to write instead. */
export interface RuleIssue {
  readonly field: string
  readonly rule: string
}

const isDuration = (u: unknown): u is Duration.Input => {
  if (u === undefined || u === null || Number.isNaN(u)) return false
  const parsed = Result.try(() => Duration.fromInputUnsafe(u as Duration.Input))
  return Result.isSuccess(parsed) && Duration.isFinite(parsed.success) && !Duration.isNegative(parsed.success)
}

/** A duration as callers write it, in milliseconds. */
const Millis = Schema.declare(isDuration)
  .annotate({
    message: 'must be a finite duration, such as "30 seconds" or 30000 (milliseconds), and not negative',
  })
  .pipe(
    Schema.decodeTo(
      Schema.Number,
      SchemaTransformation.transform({
        decode: (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input)),
        encode: (millis: number): Duration.Input => millis,
      }),
    ),
  )

/** A duration between two bounds, both in milliseconds. */
export const duration = (minimum: number, maximum: number, message: string) =>
  Millis.check(Schema.isBetween({ minimum, maximum }, { message }))

/** A whole number between two bounds. */
export const integer = (minimum: number, maximum: number) => {
  const message = `must be a whole number from ${minimum} to ${maximum}`
  return Schema.Number.annotate({ message }).check(
    Schema.isInt({ message }),
    Schema.isBetween({ minimum, maximum }, { message }),
  )
}

/** A boolean. */
export const flag = Schema.Boolean.annotate({ message: "must be true or false" })

/** A text for which `isValid` holds. */
export const text = (rule: string, isValid: (value: string) => boolean) =>
  Schema.String.annotate({ message: rule }).check(Schema.makeFilter((value: string) => isValid(value) || rule))

const isSecret =
  (isValid: (value: string) => boolean) =>
  (u: unknown): u is string | Redacted.Redacted<string> => {
    const value = Redacted.isRedacted(u) ? Redacted.value(u) : u
    return typeof value === "string" && isValid(value)
  }

/** A text for which `isValid` holds, perhaps wrapped so that it can not be printed; decoded, it is in the clear. */
export const secret = (rule: string, isValid: (value: string) => boolean) =>
  Schema.declare(isSecret(isValid))
    .annotate({ message: rule })
    .pipe(
      Schema.decodeTo(
        Schema.String,
        SchemaTransformation.transform({
          decode: (given: string | Redacted.Redacted<string>) =>
            typeof given === "string" ? given : Redacted.value(given),
          encode: (value: string): string | Redacted.Redacted<string> => value,
        }),
      ),
    )

/** A list; `rule` is for what is none. */
export const listOf = <S extends Schema.Constraint>(item: S, rule: string) =>
  Schema.Array(item).annotate({ message: rule })

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const fieldOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined): string =>
  (path ?? [])
    .map((part) => (typeof part === "object" ? part.key : part))
    .reduce<string>(
      (field, key) => (typeof key === "number" ? `${field}[${key}]` : `${field}${field && "."}${String(key)}`),
      "",
    )

/** A member that is `undefined` was not given; options nest no deeper than `levels`. */
const given = (u: unknown, levels = 4): unknown =>
  levels > 0 && typeof u === "object" && u !== null && Object.getPrototypeOf(u) === Object.prototype
    ? Object.fromEntries(
        Object.entries(u).flatMap(([key, value]) => (value === undefined ? [] : [[key, given(value, levels - 1)]])),
      )
    : u

/** A check of unknown input: what it means, or every breach by its field. */
export const checker = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: "error" })
  return (input: unknown): Result.Result<S["Type"], ReadonlyArray<RuleIssue>> =>
    // Nested beyond measure, or with getters that throw: whatever it is, it is no plain object.
    Result.match(
      Result.try(() => decode(given(input))),
      {
        onFailure: () => Result.fail([{ field: "", rule: "could not be read: write a plain object" }]),
        onSuccess: Result.mapError(({ issue }) =>
          format(issue).issues.map(({ message, path }) => ({ field: fieldOf(path), rule: message })),
        ),
      },
    )
}
