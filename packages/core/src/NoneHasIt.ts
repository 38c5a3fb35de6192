/**
 * What to tell when no provider of a tenant has a key (resolving rule 12).
 */
import { JwksUnavailable, KeyAmbiguous, KeyNotFound, NotRegistered, type ResolveError } from "./JwksError.ts"

/** One error for the refusals of every provider: an outage of any outweighs a confirmed absence at the others. */
export const noneHasIt = (
  tenant: string,
  kid: string | undefined,
  errors: ReadonlyArray<ResolveError>,
): ResolveError => {
  const ambiguous = errors.find((error) => error instanceof KeyAmbiguous)
  if (ambiguous !== undefined) return ambiguous
  const unavailable = errors.filter((error) => error instanceof JwksUnavailable)
  const [outage] = unavailable
  if (outage !== undefined) {
    return new JwksUnavailable({
      tenant,
      ...(outage.provider === undefined ? {} : { provider: outage.provider }),
      reason: outage.reason,
      ...soonest(unavailable),
    })
  }
  const absent = errors.filter((error) => error instanceof KeyNotFound)
  if (absent.length === 0) return new NotRegistered({ tenant })
  const dropped = absent.find((error) => error.dropped !== undefined)?.dropped
  return new KeyNotFound({
    tenant,
    ...(typeof kid === "string" ? { kid } : {}),
    confirmed: absent.every(({ confirmed }) => confirmed),
    ...(dropped === undefined ? {} : { dropped }),
    ...soonest(absent),
  })
}

const soonest = (
  errors: ReadonlyArray<{ readonly retryAfterMillis?: number }>,
): { readonly retryAfterMillis?: number } => {
  const times = errors.flatMap(({ retryAfterMillis }) => (retryAfterMillis === undefined ? [] : [retryAfterMillis]))
  return times.length === 0 ? {} : { retryAfterMillis: Math.min(...times) }
}
