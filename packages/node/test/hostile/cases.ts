/**
 * Every case of the suite, by subject.
 */
import { addressCases } from "./cases/addresses.ts"
import { codingCases } from "./cases/codings.ts"
import { discoveryCases } from "./cases/discovery.ts"
import { documentCases } from "./cases/documents.ts"
import { framingCases } from "./cases/framing.ts"
import { freshnessCases } from "./cases/freshness.ts"
import { keyCases } from "./cases/keys.ts"
import { redirectCases } from "./cases/redirects.ts"
import { requestCases } from "./cases/requests.ts"
import { responseCases } from "./cases/responses.ts"
import { timeoutCases } from "./cases/timeouts.ts"
import { tlsCases } from "./cases/tls.ts"
import { urlCases } from "./cases/urls.ts"
import type { HostileCase } from "./HostileCase.ts"

/** Cases that are about one thing. */
export interface Subject {
  readonly heading: string
  readonly cases: ReadonlyArray<HostileCase>
}

/** The subjects, in the order in which a fetch meets them. */
export const subjects: ReadonlyArray<Subject> = [
  { heading: "Registrations and URLs", cases: urlCases },
  { heading: "Addresses", cases: addressCases },
  { heading: "TLS and pins", cases: tlsCases },
  { heading: "Requests", cases: requestCases },
  { heading: "Time", cases: timeoutCases },
  { heading: "HTTP and connections", cases: framingCases },
  { heading: "Redirects", cases: redirectCases },
  { heading: "Statuses and confirmations", cases: responseCases },
  { heading: "Content codings", cases: codingCases },
  { heading: "Documents", cases: documentCases },
  { heading: "Keys", cases: keyCases },
  { heading: "Freshness", cases: freshnessCases },
  { heading: "Discovery", cases: discoveryCases },
]

/** Every case of the suite. */
export const cases: ReadonlyArray<HostileCase> = subjects.flatMap((subject) => subject.cases)
