/**
 * Where the API is, seen from the address of the page.
 */

/**
 * What comes before a relative path of the API. An application may serve the page at `/admin/` and at `/admin`, where a
 * plain relative path would leave the folder that the page stands for.
 */
export const apiBase = (pathname: string): string =>
  pathname.endsWith("/") ? "" : `${pathname.slice(pathname.lastIndexOf("/") + 1)}/`
