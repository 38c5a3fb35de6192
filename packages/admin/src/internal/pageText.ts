/** The page, as `page/build.ts` writes it; do not edit. */
export const pageText: string =
  '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>JWKS cache</title></head><body><p>The page has not been built.</p></body></html>'

/** Base64 SHA-256 of the one inline script. */
export const scriptHash: string = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

/** Base64 SHA-256 of the one inline style. */
export const styleHash: string = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
