/**
 * The snapshots that the bundle begins with. A build writes here what `takeSnapshots` of `deploy.ts` gives.
 */
export const snapshots: Readonly<Record<string, string>> = {}
