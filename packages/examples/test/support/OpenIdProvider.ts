/**
 * A real OpenID provider (npm `oidc-provider`) that signs with one algorithm, and a user who signs in: access tokens of the JWT
 * profile (RFC 9068) and ID tokens (OpenID Connect Core 1.0 section 3.1).
 */
import { exportJWK, generateKeyPair } from "jose"
import { createHash, randomBytes } from "node:crypto"
import { createServer, type RequestListener, type Server } from "node:http"
import type { AsymmetricSigningAlgorithm, Configuration, Provider } from "oidc-provider"
import { makeProvider } from "../../10_demo/idp.ts"

/** The API that access tokens are for, and the application that ID tokens are for. */
export const resource = "https://orders.example"
export const clientId = "web"

const clientSecret = "the-secret-of-this-test-alone"
const redirectUri = "https://web.example/callback"

/** What a user gets who signs in. */
export interface Tokens {
  readonly accessToken: string
  readonly idToken: string
}

export class OpenIdProvider implements AsyncDisposable {
  readonly issuer: string
  readonly alg: string
  /** Requests for the JWK Set. */
  requests = 0
  readonly #server: Server

  private constructor(issuer: string, alg: string, server: Server) {
    this.issuer = issuer
    this.alg = alg
    this.#server = server
  }

  static async start(alg: AsymmetricSigningAlgorithm): Promise<OpenIdProvider> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("the provider got no port")
    const issuer = `http://127.0.0.1:${address.port}`
    const self = new OpenIdProvider(issuer, alg, server)
    const provider = await signingWith(issuer, alg)
    const callback = provider.callback()
    const listener: RequestListener = (request, response) => {
      if (request.url === "/jwks") self.requests += 1
      const answered = request.url?.startsWith("/interaction/")
        ? provider.interactionFinished(request, response, { login: { accountId: "ada" } })
        : callback(request, response)
      answered.catch(() => response.destroy())
    }
    server.on("request", listener)
    return self
  }

  get jwksUrl(): string {
    return `${this.issuer}/jwks`
  }

  /** The authorization code flow with PKCE, as a browser and an application have it between them. */
  async signIn(): Promise<Tokens> {
    const verifier = randomBytes(32).toString("base64url")
    const question = new URLSearchParams({
      client_id: clientId,
      response_type: "code",
      redirect_uri: redirectUri,
      scope: "openid email read",
      resource,
      state: randomBytes(8).toString("hex"),
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    })
    const cookies = new Map<string, string>()
    let url = new URL(`/auth?${question}`, this.issuer)
    while (url.origin === this.issuer) {
      const response = await fetch(url, {
        redirect: "manual",
        headers: { cookie: Array.from(cookies, ([name, value]) => `${name}=${value}`).join("; ") },
      })
      for (const cookie of response.headers.getSetCookie()) {
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
        cookies.set(name, value)
      }
      const location = response.headers.get("location")
      if (location === null) throw new Error(`${url.pathname}: ${response.status} ${await response.text()}`)
      url = new URL(location, url)
    }
    const answer = await fetch(`${this.issuer}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString("base64")}` },
      body: new URLSearchParams({
        grant_type: "authorization_code",
        code: url.searchParams.get("code") ?? "",
        redirect_uri: redirectUri,
        code_verifier: verifier,
        resource,
      }),
    })
    const tokens: unknown = await answer.json()
    if (!isTokens(tokens)) throw new Error(`no tokens: ${answer.status} ${JSON.stringify(tokens)}`)
    return { accessToken: tokens.access_token, idToken: tokens.id_token }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

const isTokens = (answer: unknown): answer is { readonly access_token: string; readonly id_token: string } =>
  typeof answer === "object" &&
  answer !== null &&
  "access_token" in answer &&
  typeof answer.access_token === "string" &&
  "id_token" in answer &&
  typeof answer.id_token === "string"

const signingWith = async (issuer: string, alg: AsymmetricSigningAlgorithm): Promise<Provider> => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  const configuration: Configuration = {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: "the-kid-of-everybody", alg, use: "sig" }] },
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code"],
        response_types: ["code"],
        id_token_signed_response_alg: alg,
      },
    ],
    enabledJWA: { idTokenSigningAlgValues: [alg] },
    // As everywhere by default, but the package says so at length.
    ttl: { AccessToken: 600, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    cookies: { keys: [randomBytes(16).toString("hex")] },
    claims: { openid: ["sub"], email: ["email"] },
    conformIdTokenClaims: false,
    findAccount: (_, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId, email: `${accountId}@example.com` }),
    }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    // Who has signed in has agreed: consent is no matter of this test.
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ clientId, accountId: oidc.session?.accountId ?? "" })
      grant.addOIDCScope("openid email")
      grant.addResourceScope(resource, "read")
      await grant.save()
      return grant
    },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, audience) => ({
          audience,
          scope: "read",
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg } },
        }),
      },
    },
  }
  return makeProvider(issuer, configuration)
}
