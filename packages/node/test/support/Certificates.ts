/**
 * X.509 certificates (RFC 5280) for tests, made in a millisecond and of any shape: expired ones, ones that
 * name their issuer falsely, sub-CAs that are none. Written out in DER, since a library that makes
 * certificates keeps its user from making wrong ones.
 */
import * as Crypto from "node:crypto"
import { isIP } from "node:net"

// -----------------------------------------------------------------------------
// DER (X.690)
// -----------------------------------------------------------------------------

const tlv = (tag: number, ...contents: ReadonlyArray<Uint8Array>): Buffer => {
  const body = Buffer.concat(contents)
  const { length } = body
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), body])
}

const sequence = (...items: ReadonlyArray<Uint8Array>) => tlv(0x30, ...items)
const explicit = (tag: number, ...items: ReadonlyArray<Uint8Array>) => tlv(0xa0 + tag, ...items)
const boolean = (value: boolean) => tlv(0x01, Buffer.from([value ? 0xff : 0]))
const integer = (bytes: Uint8Array) => tlv(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.from([0]) : Buffer.alloc(0), bytes)
const bitString = (bytes: Uint8Array, unused = 0) => tlv(0x03, Buffer.from([unused]), bytes)
const octetString = (bytes: Uint8Array) => tlv(0x04, bytes)
const utf8String = (text: string) => tlv(0x0c, Buffer.from(text))

/** The digits of an object identifier, base 128 but for the first two. */
const oid = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  const digits = rest.flatMap((arc) => {
    const bytes = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80)
    return bytes
  })
  return tlv(0x06, Buffer.from([first * 40 + second, ...digits]))
}

/** GeneralizedTime; verifiers take it for years before 2050 too. */
const time = (epochMillis: number): Buffer =>
  tlv(0x18, Buffer.from(`${new Date(epochMillis).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`))

const name = (commonName: string) => sequence(tlv(0x31, sequence(oid("2.5.4.3"), utf8String(commonName))))

const extension = (id: string, isCritical: boolean, value: Uint8Array) =>
  sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octetString(value))

const subjectAltName = (hosts: ReadonlyArray<string>) =>
  extension(
    "2.5.29.17",
    false,
    sequence(
      ...hosts.map((host) =>
        isIP(host) === 4 ? tlv(0x87, Buffer.from(host.split(".").map(Number))) : tlv(0x82, Buffer.from(host)),
      ),
    ),
  )

// -----------------------------------------------------------------------------
// Certificates
// -----------------------------------------------------------------------------

/** A certificate with its private key. */
export interface Certificate {
  readonly commonName: string
  readonly pem: string
  readonly privateKey: Crypto.KeyObject
  readonly keyPem: string
  /** What `pinnedSpki` takes. */
  readonly pin: string
}

/** What a certificate says. */
export interface CertificateOptions {
  readonly commonName: string
  /** Default: itself. */
  readonly issuer?: Certificate
  /** Signs with this key, whatever issuer is named. Default: the issuer's. */
  readonly signWith?: Crypto.KeyObject
  /** Default: a new P-256 key. */
  readonly privateKey?: Crypto.KeyObject
  /** Basic constraints (RFC 5280 section 4.2.1.9). Default: `true` without `hosts`. */
  readonly isCa?: boolean
  /** Key usage (RFC 5280 section 4.2.1.3), as fits `isCa`. Default: `true`; `false` leaves it out. */
  readonly keyUsage?: boolean
  /** DNS names and IPv4 addresses. */
  readonly hosts?: ReadonlyArray<string>
  /** Epoch milliseconds. Default: an hour ago. */
  readonly notBefore?: number
  /** Epoch milliseconds. Default: in an hour. */
  readonly notAfter?: number
}

const hour = 3_600_000

const keyCertSign = bitString(Buffer.from([0x04]), 2)
const digitalSignature = bitString(Buffer.from([0x80]), 7)

/** base64 SHA-256 of the SubjectPublicKeyInfo that belongs to a private key. */
export const pinOf = (key: Crypto.KeyObject): string => Crypto.createHash("sha256").update(spkiOf(key)).digest("base64")

const spkiOf = (key: Crypto.KeyObject): Buffer => Crypto.createPublicKey(key).export({ type: "spki", format: "der" })

/** A new P-256 key. */
export const makeKey = (): Crypto.KeyObject => Crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey

/** Makes a certificate, self-signed unless an issuer is given. */
export const makeCertificate = (options: CertificateOptions): Certificate => {
  const { commonName, hosts = [], isCa = hosts.length === 0, issuer, privateKey = makeKey() } = options
  const ecdsaWithSha256 = sequence(oid("1.2.840.10045.4.3.2"))
  const tbs = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), Crypto.randomBytes(8)])),
    ecdsaWithSha256,
    name(issuer?.commonName ?? commonName),
    sequence(time(options.notBefore ?? Date.now() - hour), time(options.notAfter ?? Date.now() + hour)),
    name(commonName),
    spkiOf(privateKey),
    explicit(
      3,
      sequence(
        extension("2.5.29.19", true, sequence(...(isCa ? [boolean(true)] : []))),
        ...(options.keyUsage === false ? [] : [extension("2.5.29.15", true, isCa ? keyCertSign : digitalSignature)]),
        ...(hosts.length > 0 ? [subjectAltName(hosts)] : []),
      ),
    ),
  )
  const signature = Crypto.sign("sha256", tbs, options.signWith ?? issuer?.privateKey ?? privateKey)
  const der = sequence(tbs, ecdsaWithSha256, bitString(signature))
  return {
    commonName,
    pem: `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replace(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`,
    privateKey,
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
    pin: pinOf(privateKey),
  }
}
