/**
 * Requests of many kinds at once, from autocannon, and what each kind was answered with.
 */
import autocannon from "autocannon"

/** One kind of request: whose, with which `Authorization`, and what it may be answered with. */
export interface Kind {
  readonly name: string
  readonly tenant: string
  readonly authorization?: string
  readonly expected: Answer | ReadonlyArray<Answer>
}

/** `malformed`: 400; `challenge`: 401 for who sent no token; `invalid`: 401 for a wrong one; `outage`: 503. */
export type Answer = "ok" | "malformed" | "challenge" | "invalid" | "outage"

/** Where a tenant's route is. */
export type RouteOf = (tenant: string) => { readonly path: string; readonly host: string }

/** By kind: how often it was answered with what. */
export type Tally = Readonly<Record<string, Readonly<Record<string, number>>>>

type Headers = Readonly<Record<string, string | undefined>>

/** The answer that a response is, to the letter; anything else is shown as it is. */
const answerOf = (tenant: string, status: number, body: string, headers: Headers): string => {
  const { "retry-after": retryAfter = "", "www-authenticate": challenge = "" } = headers
  const is = (answer: Answer, isRight: boolean) =>
    isRight ? answer : `${status} ${JSON.stringify({ challenge, retryAfter, body })}`
  switch (status) {
    case 200:
      return is("ok", body === JSON.stringify({ tenant, subject: `ada@${tenant}` }) && challenge === "")
    case 400:
      return is(
        "malformed",
        /^Bearer realm="orders", error="invalid_request", error_description="[A-Za-z ]+"$/.test(challenge) &&
          body === "",
      )
    case 401:
      return challenge === 'Bearer realm="orders"'
        ? is("challenge", body === "")
        : is(
            "invalid",
            /^Bearer realm="orders", error="invalid_token", error_description="[a-z ]+"$/.test(challenge) &&
              body === "",
          )
    case 503:
      return is("outage", /^[1-9]\d*$/.test(retryAfter) && body === "" && challenge === "")
    default:
      return String(status)
  }
}

export interface Volley {
  readonly tally: Tally
  readonly responses: number
  /** Answers that the kind may not have, and whatever went wrong with connections. */
  readonly wrong: ReadonlyArray<string>
}

export interface VolleySize {
  readonly connections?: number
  /** How often each connection sends each kind. */
  readonly rounds?: number
}

/** Sends every kind in turn, over a few connections at once. */
export const fire = async (
  url: string,
  routeOf: RouteOf,
  kinds: ReadonlyArray<Kind>,
  { connections = 16, rounds = 8 }: VolleySize = {},
): Promise<Volley> => {
  const tally: Record<string, Record<string, number>> = {}
  const wrong: Array<string> = []
  const take = ({ expected, name, tenant }: Kind, status: number, body: string, headers: Headers): void => {
    const answer = answerOf(tenant, status, body, headers)
    const counts = (tally[name] ??= {})
    counts[answer] = (counts[answer] ?? 0) + 1
    if (!(typeof expected === "string" ? [expected] : expected).some((one) => one === answer)) {
      wrong.push(`${name}: ${answer}`)
    }
  }
  const amount = connections * rounds * kinds.length
  const result = await autocannon({
    url,
    connections,
    amount,
    sampleInt: 50, // it ends with one
    requests: kinds.map((kind) => {
      const { host, path } = routeOf(kind.tenant)
      return {
        method: "GET",
        path,
        headers: { host, ...(kind.authorization !== undefined && { authorization: kind.authorization }) },
        onResponse: (status: number, body: string, _context: object, headers?: object) =>
          take(kind, status, body, lowerCased(headers)),
      }
    }),
  })
  for (const trouble of ["errors", "timeouts", "resets", "mismatches"] as const) {
    if (result[trouble] > 0) wrong.push(`${result[trouble]} ${trouble}`)
  }
  const responses = Object.values(tally).flatMap((counts) => Object.values(counts))
  const sum = responses.reduce((sum, count) => sum + count, 0)
  if (sum !== amount) wrong.push(`${sum} responses to ${amount} requests`)
  return { tally, responses: sum, wrong: [...new Set(wrong)] }
}

/** autocannon gives headers as they came. */
const lowerCased = (headers: object = {}): Headers =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]))
