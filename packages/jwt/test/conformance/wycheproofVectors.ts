/**
 * Facts of Wycheproof's vectors for JSON Web Signatures and Keys, numbered as in `json_web_signature_test.json` and
 * `json_web_key_test.json` under `testvectors_v1` of github.com/C2SP/wycheproof. Copyright Google LLC and the Wycheproof
 * authors, Apache License 2.0.
 *
 * **Details**
 *
 * Of the 401 tests of signatures, these are here:
 *
 * - the groups `es256` (18 to 32) and `SpecialCaseEs256` (378 to 401; of 385 the idea, with other numbers of zeros);
 * - of `rs256`, what is made of the valid token (33 to 45);
 * - keys that are not for signatures (353 to 356);
 * - of the symmetric groups, the tokens that are malformed whatever their MAC is.
 *
 * Not here: the signatures of one RSA key over some 300 modified paddings (46 to 344). Such signatures are made anew, from
 * the encodings that their comments name, with a key of the tests' own (`pkcs1Paddings.test.ts`). 345 to 352 are the
 * examples of RFC 7520, which `rfcVectors.ts` has, though under keys for `ES521` and `PS256`: the registry drops the
 * former, and the latter does not verify the PS384 that is asked of it. Other HMACs are refused by their algorithm.
 *
 * Of the 26 tests of keys, those of asymmetric keys are here (6, 8, 9, 19 to 24), but for 7: nothing looks for moduli
 * that are open to ROCA (CVE-2017-15361). 25 and 26 are not among them.
 */
import type { Jwk, JwsAlgorithm } from "@effect-jwks/core"

/** A token of Wycheproof's, and whether its signature is right. */
export interface WycheproofVector {
  readonly tcId: number
  readonly comment: string
  readonly jws: string
  readonly isValid: boolean
}

/** Vectors of one key. */
export interface WycheproofGroup {
  readonly name: string
  readonly alg: JwsAlgorithm
  readonly key: Jwk
  readonly vectors: ReadonlyArray<WycheproofVector>
}

const ecNumbers = {
  kty: "EC",
  crv: "P-256",
  x: "04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY",
  y: "UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw",
  kid: "kid-ec-sign",
}

const rsaNumbers = {
  kty: "RSA",
  n: "kqGboBfAWttWPCA-0cGRgsY6SaYoIARt0B_PkaEcIq9HPYNdu9n6UuWHuuTHrjF_ZoQW97r5HaAorNvrMEGTGdxCHZdEtkHvNVVmrtxTBLiQCbCozXhFoIrVcr3qUBrdGnNn_M3jJi7Wg7p_-x62nS5gNG875oyheRkutHsQXikFZwsN3q_TsPNOVlCiHy8mxzaFTUQGm-X8UYexFyAivlDSjgDJLAZSWfxd7k9Gxuwa3AUfQqQcVcegmgKGCaErQ3qQbh1x7WB6iopE3_-GZ8HMAVtR9AmrVscqYsnjhaCehfAI0iKKs8zXr8tISc0ORbaalrkk03H1ZrsEnDKEWQ",
  e: "AQAB",
  kid: "kid-rsa-sign",
}

const ecHeader = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImtpZC1lYy1zaWduIn0"
const rsaHeader = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImtpZC1yc2Etc2lnbiJ9"

const ecSignature = "5cA0OHyMP7ezamUd5c9kV-FrGxdx4hbGXOdplQkutrqWrte5P-pAvsE3Ve6xSyU3YDQwUHjVVOtvcrEbbnZ8yA"
const rsaSignature =
  "HUwxI1-cZrZgcuOgBQ7G7NE-GrqK79l6GV1KT4DKXnSMFwC8pfZCzE7pmLE7mYpLCIvzC87yuOjuhT0uW5oe6aaAEtR978cm-q8dfly45flqMrd_ifhi9GCsMlyi8dpQ42Ou1etZljFZuWjfyk8CN1c5DaHRwhqjScAPIFp6xmzKIRUJ_xdQfUSfSlujLaixtScU518EoNP4oo1v7E8RAz6ZO4g2N4Xqs8OvSxYydcoTEg42QnLHe9JnXgI37Q5gSwinwaPsG3Ry56UYiLoL8mCUa74S51y02VsIgVmmGWgaXjM-i_lCiKQDBiBnvWlka4XhVuvd6ZWibM9cbCPtPg"

/** Each half of a signature after so many zeros. */
const padded = (signature: string, zeros: number): string => {
  const bytes = Buffer.from(signature, "base64url")
  const half = bytes.length / 2
  const none = Buffer.alloc(zeros)
  return Buffer.concat([none, bytes.subarray(0, half), none, bytes.subarray(half)]).toString("base64url")
}

const invalid = (tcId: number, comment: string, jws: string): WycheproofVector => ({
  tcId,
  comment,
  jws,
  isValid: false,
})

const valid = (tcId: number, comment: string, jws: string): WycheproofVector => ({ tcId, comment, jws, isValid: true })

/** What every group makes of its valid token, in this order. */
const basics = (
  first: number,
  header: string,
  modifiedHeader: string,
  signature: string,
): ReadonlyArray<WycheproofVector> => {
  const token = `${header}.Zm9v.${signature}`
  return [
    valid(first, "acceptsValid", token),
    invalid(first + 1, "rejectsModifiedSignature", `${header}.Zm9v.X${signature.slice(1)}`),
    invalid(first + 2, "rejectsMissingSignature", `${header}.Zm9v.`),
    invalid(first + 3, "rejectsMissingSignatureAndSeparator", `${header}.Zm9v`),
    invalid(first + 4, "rejectsModifiedPayload", `${header}.WG9v.${signature}`),
    invalid(first + 5, "rejectsMissingPayload", `${header}..${signature}`),
    invalid(first + 6, "rejectsMissingPayloadAndSeparator", `${header}.${signature}`),
    invalid(first + 7, "rejectsModifiedHeader", `${modifiedHeader}.Zm9v.${signature}`),
    invalid(first + 8, "rejectsMissingHeader", `.Zm9v.${signature}`),
    invalid(first + 9, "rejectsMissingHeaderAndSeparator", `Zm9v.${signature}`),
    invalid(first + 10, "rejectsMissingHeaderAndSignature", ".Zm9v."),
    invalid(first + 11, "rejectsMissingHeaderSignatureAndSeparators", "Zm9v"),
    invalid(first + 12, "rejectsEmptyString", ""),
  ]
}

const es256: WycheproofGroup = {
  name: "es256",
  alg: "ES256",
  key: { ...ecNumbers, alg: "ES256", use: "sig" },
  vectors: [
    ...basics(18, ecHeader, "eyJhbGciOiJFUzI1NiIsImtpZCI6IlhpZC1lYy1zaWduIn0", ecSignature),
    invalid(
      31,
      "rejectsSymmetryConfusionAttacks_aesKeyFromEcVerificationKeyBytes",
      "eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC1lYy1zaWduIn0.Zm9v.TgWtz2FIRukBQ_mA5sgHa0Ybtgn7bl-YBPAi7Z0XdHU",
    ),
    invalid(
      32,
      "rejectsAttackerProvidedEmbeddedJwk",
      "eyJhbGciOiJFUzI1NiIsImtpZCI6ImtpZC1lYy1zaWduIiwiandrIjp7Imt0eSI6IkVDIiwia2lkIjoia2lkLWVjLXNpZ24iLCJ1c2UiOiJzaWciLCJhbGciOiJFUzI1NiIsIngiOiJNZG5UWkRJaERKYmZBU2RGcWFtY3BPMkNoOUdOS0sybTBNUWxoNDAyU3BvIiwieSI6Ijdhdko0bHFfV3l4LW5MUERCUTJZcHl0dUh5TWlvMDdCVXl2bDNqYUMtMVkiLCJjcnYiOiJQLTI1NiJ9fQ.Zm9v.4jmsollQD8ZxvySzXYnIEYA4fwaZi2ZbC0aI1J4LYmW2Bn31NhKdjms2N6o51Dff5-InWXQF9m45VtTexl6yjg",
    ),
  ],
}

const rs256: WycheproofGroup = {
  name: "rs256",
  alg: "RS256",
  key: { ...rsaNumbers, alg: "RS256", use: "sig" },
  vectors: basics(33, rsaHeader, "eyJhbGciOiJSUzI1NiIsImtpZCI6IlhpZC1yc2Etc2lnbiJ9", rsaSignature),
}

/** Numbers of P-256 that a signature is put together from in 386 to 401, in hexadecimal. */
const edges = {
  Zero: "0".repeat(64),
  One: "1".padStart(64, "0"),
  Nminus1: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550",
  N: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
}

const edgeVectors: ReadonlyArray<WycheproofVector> = Object.entries(edges)
  .flatMap(([rName, r]) =>
    Object.entries(edges).map(([sName, s]) => ({ comment: `rIs${rName}_sIs${sName}`, hex: r + s })),
  )
  .map(({ comment, hex }, index) =>
    invalid(386 + index, comment, `${ecHeader}.Zm9v.${Buffer.from(hex, "hex").toString("base64url")}`),
  )

const specialCaseEs256: WycheproofGroup = {
  name: "SpecialCaseEs256",
  alg: "ES256",
  key: { ...ecNumbers, alg: "ES256", use: "sig" },
  vectors: [
    // The same signature with n - s in place of s, which ECDSA can not tell apart.
    valid(
      378,
      "valid",
      `${ecHeader}.Zm9v.5cA0OHyMP7ezamUd5c9kV-FrGxdx4hbGXOdplQkutrppUShFwBW_Qj7IqhFOtNrIXLLKXS5CSZmERxmnjeyoiQ`,
    ),
    invalid(
      379,
      "SignatureTooLong",
      `${ecHeader}.Zm9v.AOXANDh8jD-3s2plHeXPZFfhaxsXceIWxlznaZUJLra6AJau17k_6kC-wTdV7rFLJTdgNDBQeNVU629ysRtudnzI`,
    ),
    invalid(
      380,
      "TrailingZeros",
      `${ecHeader}.Zm9v.5cA0OHyMP7ezamUd5c9kV-FrGxdx4hbGXOdplQkutroAlq7XuT_qQL7BN1XusUslN2A0MFB41VTrb3KxG252fMgA`,
    ),
    invalid(
      381,
      "RisTooBig",
      `${ecHeader}.Zm9v.AeXANDd8jD-4s2plHeXPZFeeUhXFGPm1S1ChNFgFkdwLAJau17k_6kC-wTdV7rFLJTdgNDBQeNVU629ysRtudnzI`,
    ),
    invalid(
      382,
      "SisTooBig",
      `${ecHeader}.Zm9v.AOXANDh8jD-3s2plHeXPZFfhaxsXceIWxlznaZUJLra6AZau17g_6kC_wTdV7rFLJTcdGyr-H-zzcGMse95q2aIZ`,
    ),
    invalid(
      383,
      "IntegerOverflow",
      `${ecHeader}.Zm9v.AeXANDh8jD-3s2plHeXPZFfhaxsXceIWxlznaZUJLra6AJau17k_6kC-wTdV7rFLJTdgNDBQeNVU629ysRtudnzI`,
    ),
    invalid(
      384,
      "IntegerOverflow",
      `${ecHeader}.Zm9v.AOXANDh8jD-3s2plHeXPZFfhaxsXceIWxlznaZUJLra6AZau17k_6kC-wTdV7rFLJTdgNDBQeNVU629ysRtudnzI`,
    ),
    invalid(385, "BufferOverflow", `${ecHeader}.Zm9v.${padded(ecSignature, 288)}`),
    ...edgeVectors,
  ],
}

export const groups: ReadonlyArray<WycheproofGroup> = [es256, rs256, specialCaseEs256]

/** 353 to 356: valid tokens of keys that are published for something else. */
export const wrongKeys: ReadonlyArray<{
  readonly tcId: number
  readonly comment: string
  readonly alg: JwsAlgorithm
  readonly right: Jwk
  readonly wrong: Jwk
}> = [
  { tcId: 353, comment: "rejectWrongUse", alg: "RS256", right: rsaNumbers, wrong: { ...rsaNumbers, use: "enc" } },
  { tcId: 354, comment: "rejectWrongUse", alg: "ES256", right: ecNumbers, wrong: { ...ecNumbers, use: "enc" } },
  {
    tcId: 355,
    comment: "rejectWrongKeyOps",
    alg: "RS256",
    right: rsaNumbers,
    wrong: { ...rsaNumbers, key_ops: ["encrypt"] },
  },
  {
    tcId: 356,
    comment: "rejectWrongKeyOps",
    alg: "ES256",
    right: ecNumbers,
    wrong: { ...ecNumbers, key_ops: ["encrypt"] },
  },
]

/** Keys of the second file that nobody may use, beside a good key of another kid. */
export const wrongJwks: ReadonlyArray<{
  readonly tcId: number
  readonly comment: string
  readonly alg: JwsAlgorithm
  readonly key: Jwk
}> = [
  {
    tcId: 6,
    comment: "rejectsWrongUse",
    alg: "RS256",
    key: { ...rsaNumbers, alg: "RSA1_5", use: "enc" },
  },
  {
    tcId: 8,
    comment: "rejects1024bitRsaKey",
    alg: "RS256",
    key: {
      kty: "RSA",
      use: "sig",
      alg: "RS256",
      n: "rJBIp6T1YK-RtPyvYqFFlcucqewSAA_IReSFchE8qyiQrbARqRlXWkB2DR8j_pJQnIpYELbQWZC5Cd0PTGAU8rMbar2AW6zpmBbi7aQf17lUBdt8XI9M9rq7FPVQ1dDdUXm1SVH_9qqWhvMPR422SbfHBEzCAtzK0ANDRo6qz78",
      e: "AQAB",
      kid: "RS256_1024",
    },
  },
  { tcId: 9, comment: "rejectsPublicExponent1", alg: "RS256", key: { ...rsaNumbers, alg: "RS256", e: "AQ" } },
  { tcId: 19, comment: "mismatchedAlgAndCurve", alg: "ES256", key: { ...ecNumbers, alg: "ES521" } },
  { tcId: 20, comment: "mismatchedAlgAndCurve", alg: "ES256", key: { ...ecNumbers, alg: "ES224" } },
  { tcId: 21, comment: "rejectsModifiedKey: use", alg: "ES256", key: { ...ecNumbers, alg: "ES256", use: "enc" } },
  {
    tcId: 22,
    comment: "rejectsModifiedKey: a point that is off the curve",
    alg: "ES256",
    key: { ...ecNumbers, alg: "ES256", y: "UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgnw" },
  },
  { tcId: 23, comment: "rejectsModifiedKey: crv", alg: "ES256", key: { ...ecNumbers, alg: "ES256", crv: "P-384" } },
  { tcId: 24, comment: "rejectsModifiedKey: kty", alg: "ES256", key: { ...ecNumbers, alg: "ES256", kty: "RSA" } },
]

/** Tokens of the symmetric groups that are no compact JWS at all, whatever made their MAC. */
export const malformed: ReadonlyArray<WycheproofVector> = [
  invalid(
    14,
    "rejectsExtraEmptyComponent",
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC1hZXMtc2lnbiJ9.Zm9v.TD37p4c_0jmreSrBSDmE0F3mYSPtkZ3WrSyI5wb_KTg.",
  ),
  invalid(
    15,
    "rejectsExtraComponent",
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC1hZXMtc2lnbiJ9.Zm9v.TD37p4c_0jmreSrBSDmE0F3mYSPtkZ3WrSyI5wb_KTg.foo",
  ),
  invalid(16, "rejectsNoneAlgorithmAndMissingSignature", "eyJhbGciOiJub25lIiwia2lkIjoia2lkLWFlcy1zaWduIn0.Zm9v."),
  invalid(
    17,
    "rejectsValidJsonSerialization",
    '{"payload":"Zm9v","signatures":[{"protected":"eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC1hZXMtc2lnbiJ9","header":{"unknown":"untrustworthy"},"signature":"TD37p4c_0jmreSrBSDmE0F3mYSPtkZ3WrSyI5wb_KTg"}',
  ),
  invalid(
    360,
    "rejectsSpacesInMac",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9.VGVzdA.    c1LROH7eNQwUT8KMVEO52VC3WZ9e_AnDWbZ7aMmowV8",
  ),
  invalid(
    361,
    "rejectsInvalidCharacterInsertedInMac",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9.VGVzdA.?c1LROH7eNQwUT8KMVEO52VC3WZ9e_AnDWbZ7aMmowV8",
  ),
  invalid(
    362,
    "rejectsInvalidCharacterInsertedInMac",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9.VGVzdA.c1LROH7eNQwUT8KMVEO52VC3WZ9e_AnDWbZ7aMmowV8?",
  ),
  invalid(
    365,
    "spacesInHeader",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9    .VGVzdA.DR-cdw2cCB53b3mpzMfk2gKTeyN0PhXBrTW1atMfSdM",
  ),
  invalid(
    366,
    "invalidCharactersInHeader",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9####.VGVzdA.23srvDiEYo7665_26qKv4D-0E2a149WRWH_av2ki2I4",
  ),
  invalid(
    368,
    "spacesInPayload",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9.    VGVzdA.AbPJgmXfihyNBUYpbdPK8qRpPjNuTE-Z_wYQyrU2lMQ",
  ),
  // Wycheproof lets these two through, since some decoders skip what they do not know.
  invalid(
    372,
    "InvalidCharacterInsertedInHeader",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ?9.VGVzdA.c1LROH7eNQwUT8KMVEO52VC3WZ9e_AnDWbZ7aMmowV8",
  ),
  invalid(
    373,
    "InvalidCharacterInsertedInPayload",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9.VGVzdA?.c1LROH7eNQwUT8KMVEO52VC3WZ9e_AnDWbZ7aMmowV8",
  ),
  invalid(
    374,
    "ModifiedUnusedBitsInPayload",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9.AB.8sL_ycV8G_D-K_2A3I0EW3NoPMeQzv13cAzuHlQ5TAE",
  ),
  invalid(
    375,
    "MacOfIncorrectlyEncodedMessage",
    "eyJraWQiOiJoczI1Ni1rZXkiLCJhbGciOiJIUzI1NiJ9.AB.9phoKDvkBMAqTgeVIYeqAi6-lvC0pbKg9ER--3T97w0",
  ),
]
