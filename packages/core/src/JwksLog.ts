/**
 * How an event reads, and which events are worth a log line. Logs tell changes, never single calls.
 */
import * as DateTime from "effect/DateTime"
import { describeReason, quote } from "./JwksError.ts"
import type { JwksEvent } from "./JwksEvent.ts"

/** A log line; tenant and provider are annotations. Holds no query string, and what came from outside is quoted. */
export interface LogLine {
  readonly level: "Debug" | "Info" | "Warn" | "Error"
  readonly message: string
}

/** The line for an event, if it is worth one in the log. */
export const logLine = (event: JwksEvent): LogLine | undefined => {
  switch (event._tag) {
    case "RefreshSucceeded":
    case "SnapshotRestored":
    case "UnknownKid":
      return undefined
    default:
      return describeEvent(event)
  }
}

/** The line for any event: for whoever shows all of them, such as a timeline. */
export const describeEvent = (event: JwksEvent): LogLine => {
  switch (event._tag) {
    case "RefreshFailed":
      return {
        // The first failure is the change; while it lasts, the backing off is detail.
        level: event.count === 1 ? "Warn" : "Debug",
        message: `JWKS refresh failed (${event.count} in a row): ${describeReason(event.reason)}; next attempt at ${iso(event.nextAttemptAt)}`,
      }
    case "RefreshRecovered":
      return { level: "Info", message: `JWKS refresh recovered after ${event.failures} failed` }
    case "KeysChanged":
      return {
        level: event.isFirst ? "Debug" : "Info",
        message: `JWKS changed: ${event.added.length} added, ${event.removed.length} removed, ${event.changed.length} changed under their kid`,
      }
    case "KeyDropped":
      return {
        level: "Warn",
        message: `JWK ${event.kid === undefined ? "without kid" : quote(event.kid)} can not be used: ${event.reason}${event.more === undefined ? "" : `, and ${event.more} more`}`,
      }
    case "JwksUrlDiscovered":
      return {
        level: event.previous === undefined ? "Debug" : "Warn",
        message: `the JWK Set is at ${event.url}${event.previous === undefined ? "" : `, and no longer at ${event.previous}`}`,
      }
    case "RediscoveryFailed":
      return {
        level: event.count === 1 ? "Warn" : "Debug",
        message: `the issuer's metadata could not be read again (${event.count} in a row), the known URL stays: ${describeReason(event.reason)}`,
      }
    case "StaleServing":
      return { level: "Warn", message: `serving keys past their lifetime, until ${iso(event.until)} at the latest` }
    case "StaleEnded":
      return event.recovered
        ? { level: "Info", message: "serving fresh keys again" }
        : { level: "Error", message: "the stale window has ended: no keys can be served" }
    case "SnapshotIgnored":
      return { level: "Warn", message: `a stored snapshot was ignored: ${event.rule}` }
    case "SnapshotFailed":
      return {
        level: event.isFirst ? "Warn" : "Debug",
        message: `the JWKS snapshot could not be ${pastTense[event.operation]}: ${event.rule}`,
      }
    case "SnapshotStoreRecovered":
      return { level: "Info", message: `JWKS snapshots can be ${pastTense[event.operation]} again` }
    case "ProviderRegistered":
      return {
        level: "Debug",
        message: `provider ${event.replaced ? "registered again" : "registered"} at ${event.url}`,
      }
    case "ProviderUnregistered":
      return { level: "Debug", message: "provider unregistered" }
    case "RefreshSucceeded":
      return {
        level: "Debug",
        message: `JWKS ${event.notModified ? "confirmed" : "fetched"} in ${Math.round(event.durationMillis)} ms, fresh until ${iso(event.expiresAt)}; usable keys: ${event.keys}`,
      }
    case "SnapshotRestored":
      return {
        level: "Info",
        message: `JWKS restored from its snapshot, fetched at ${iso(event.fetchedAt)}; usable keys: ${event.keys}`,
      }
    case "UnknownKid":
      return {
        level: "Debug",
        message: `somebody asked for ${event.kid === undefined ? "a key without kid" : `kid ${quote(event.kid)}`}, which the set lacks${event.confirmed ? "" : "; not confirmed by the provider"}`,
      }
  }
}

const pastTense = { read: "read", write: "written", remove: "removed" }

const iso = (millis: number): string =>
  Number.isFinite(millis) ? DateTime.formatIso(DateTime.makeUnsafe(millis)) : "never"
