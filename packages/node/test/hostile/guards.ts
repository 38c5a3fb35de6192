/**
 * The guards that stand against a hostile provider: what each is for, and where it is. Every one has its
 * cases, and a fault in `seeded_faults.txt` that takes it out of the sources.
 */

/** One guard. */
export interface Guard {
  /** What it sees to, in a sentence. */
  readonly what: string
  /** The sources that it is in, under `packages/`. */
  readonly where: ReadonlyArray<string>
}

const guard = (what: string, ...where: ReadonlyArray<string>): Guard => ({ what, where })

/** All of them by name. */
export const guards = {
  registered_url_form: guard("A registration names an absolute http or https URL.", "core/src/security/UrlPolicy.ts"),
  registered_url_userinfo: guard(
    "A registered URL has no userinfo, not even an empty one.",
    "core/src/security/UrlPolicy.ts",
  ),
  registered_url_fragment: guard(
    "A registered URL has no fragment, not even an empty one.",
    "core/src/security/UrlPolicy.ts",
  ),
  domain_form: guard(
    "Allowed domains are bare hosts, so that none is misread as a pattern.",
    "core/src/security/Host.ts",
  ),
  setting_bounds: guard(
    "No registration asks for more than the fixed bounds.",
    "core/src/registration/OptionSchema.ts",
  ),
  operator_limits: guard(
    "No registration loosens what the operator has limited.",
    "core/src/registration/Registration.ts",
  ),
  no_exemption_in_registration: guard(
    "A registration has no field that is the operator's.",
    "core/src/registration/OptionSchema.ts",
  ),
  require_https: guard("Where https is required, nothing is asked over http.", "core/src/security/UrlPolicy.ts"),
  require_https_both: guard(
    "http takes the word of the operator and of the registration.",
    "core/src/registration/Registration.ts",
  ),
  url_scheme: guard(
    "Nothing but https and http is spoken, wherever an answer leads.",
    "core/src/security/UrlPolicy.ts",
  ),
  url_length: guard(
    "A URL has at most 2,048 characters, also after it was resolved.",
    "core/src/security/UrlPolicy.ts",
  ),
  url_userinfo: guard("No URL with userinfo is fetched, wherever it came from.", "core/src/security/UrlPolicy.ts"),
  allowed_domains: guard(
    "Hosts are equal to or under an allowed domain, on every hop.",
    "core/src/security/UrlPolicy.ts",
  ),
  allowed_domains_labels: guard("Domains are compared by whole labels.", "core/src/security/UrlPolicy.ts"),
  allowed_domains_of_operator: guard(
    "The operator's list holds beside that of the registration.",
    "core/src/registration/Registration.ts",
  ),
  allowed_domains_of_limits: guard(
    "The list of the operator's limits holds as well.",
    "core/src/registration/Registration.ts",
  ),
  address_metadata: guard(
    "Addresses at which clouds keep credentials are not asked.",
    "core/src/security/AddressPolicy.ts",
  ),
  address_metadata_public: guard("Nor those of them that lie in other networks.", "core/src/security/AddressPolicy.ts"),
  address_unspecified: guard(
    "The unspecified address, which is this machine for many systems, is not asked.",
    "core/src/security/AddressPolicy.ts",
  ),
  address_this_network: guard('Addresses of "this network" are not asked.', "core/src/security/AddressPolicy.ts"),
  address_loopback: guard(
    "Loopback addresses are not asked, however they are spelled.",
    "core/src/security/AddressPolicy.ts",
  ),
  address_private: guard("Addresses of private networks are not asked.", "core/src/security/AddressPolicy.ts"),
  address_cgnat: guard("Addresses behind carrier-grade NAT are not asked.", "core/src/security/AddressPolicy.ts"),
  address_link_local: guard("Link-local addresses are not asked.", "core/src/security/AddressPolicy.ts"),
  address_site_local: guard("Site-local addresses are not asked.", "core/src/security/AddressPolicy.ts"),
  address_unique_local: guard("Unique-local addresses are not asked.", "core/src/security/AddressPolicy.ts"),
  address_multicast: guard("Multicast addresses are not asked.", "core/src/security/AddressPolicy.ts"),
  address_broadcast: guard("The broadcast address is not asked.", "core/src/security/AddressPolicy.ts"),
  address_reserved: guard("Reserved addresses are not asked.", "core/src/security/AddressPolicy.ts"),
  address_special_purpose: guard(
    "Addresses for protocols, relays, benchmarks and local translation are not asked.",
    "core/src/security/AddressPolicy.ts",
  ),
  address_documentation: guard("Addresses for documentation are not asked.", "core/src/security/AddressPolicy.ts"),
  address_ipv4_mapped: guard("An IPv4 address counts inside its mapped form.", "core/src/security/AddressPolicy.ts"),
  address_ipv4_compatible: guard(
    "An IPv4 address counts inside its compatible form.",
    "core/src/security/AddressPolicy.ts",
  ),
  address_ipv4_translated: guard(
    "An IPv4 address counts inside its translated form.",
    "core/src/security/AddressPolicy.ts",
  ),
  address_nat64: guard("An IPv4 address counts behind NAT64.", "core/src/security/AddressPolicy.ts"),
  address_6to4: guard("An IPv4 address counts inside 6to4.", "core/src/security/AddressPolicy.ts"),
  address_teredo: guard("Both IPv4 addresses of Teredo count.", "core/src/security/AddressPolicy.ts"),
  address_local_names: guard(
    "Names of this machine and its network are not looked up.",
    "core/src/security/AddressPolicy.ts",
  ),
  address_exempt_host: guard(
    "An exemption is for the host that it names alone; the cache and the transport both see to it.",
    "core/src/security/Host.ts",
  ),
  address_of_hop: guard(
    "The cache checks the address of every hop, whatever the transport allows.",
    "core/src/security/UrlPolicy.ts",
  ),
  first_url_checked: guard("The cache checks the first URL of a fetch like a hop.", "core/src/http/GuardedGet.ts"),
  address_resolved: guard(
    "What a name resolves to is checked before it is connected to.",
    "node/src/internal/GuardedLookup.ts",
  ),
  address_connected: guard(
    "What a socket is connected to is checked before it is used.",
    "node/src/internal/Connector.ts",
  ),
  redirect_recheck: guard("Each hop passes the whole URL policy before it is sent.", "core/src/security/UrlPolicy.ts"),
  redirect_downgrade: guard("No hop leads from https to http.", "core/src/security/UrlPolicy.ts"),
  redirect_userinfo: guard("No hop adds userinfo.", "core/src/security/UrlPolicy.ts"),
  redirect_loop: guard("No URL is asked twice.", "core/src/http/GuardedGet.ts"),
  redirect_limit: guard("Hops are counted.", "core/src/http/GuardedGet.ts"),
  redirect_location_missing: guard("A redirect has a Location.", "core/src/http/GuardedGet.ts"),
  redirect_location_empty: guard("A Location is not empty.", "core/src/security/UrlPolicy.ts"),
  redirect_location_length: guard("A Location has at most 2,048 characters.", "core/src/security/UrlPolicy.ts"),
  redirect_location_text: guard(
    "A Location holds no white space and no control characters, which parsers drop silently.",
    "core/src/security/UrlPolicy.ts",
  ),
  redirect_location_ascii: guard(
    "A Location holds what URIs hold, and no other bytes.",
    "core/src/security/UrlPolicy.ts",
  ),
  redirect_location_form: guard("A Location is a URL.", "core/src/security/UrlPolicy.ts"),
  redirect_statuses: guard("Only 301, 302, 303, 307 and 308 are followed.", "core/src/http/GuardedGet.ts"),
  redirect_by_hand: guard(
    "Fetch is told not to follow, whatever the application told it.",
    "core/src/http/GuardedGet.ts",
  ),
  client_follows_redirect: guard(
    "A response of another URL than the one that was asked is refused.",
    "core/src/http/GuardedGet.ts",
  ),
  unread_body_let_go: guard("A response whose body is not read lets its connection go.", "core/src/http/GuardedGet.ts"),
  status_only_200: guard("Of the successful statuses 200 alone is a document.", "core/src/http/GuardedGet.ts"),
  status_of_errors: guard("No document is read under the status of an error.", "core/src/http/GuardedGet.ts"),
  not_modified_unasked: guard(
    "A 304 confirms nothing where nothing was asked to be confirmed.",
    "core/src/http/JwksFetch.ts",
  ),
  not_modified_other_tag: guard("A 304 with another entity tag confirms nothing.", "core/src/http/JwksFetch.ts"),
  not_modified_once_more: guard(
    "After a 304 that makes no sense, caches on the way are told to ask again.",
    "core/src/http/JwksFetch.ts",
  ),
  full_fetch: guard("A document is fetched whole at least every maxTtl.", "core/src/cache/Revalidation.ts"),
  validators_final_url: guard("Validators go only to the URL that they came from.", "core/src/http/JwksFetch.ts"),
  validators_entity_tag: guard("What is sent back as an entity tag names one document.", "core/src/http/JwksFetch.ts"),
  validators_sendable: guard(
    "Validators are sent back only as far as a header may hold them.",
    "core/src/http/JwksFetch.ts",
  ),
  retry_after_max: guard(
    "No provider puts off the next attempt for more than ten minutes.",
    "core/src/http/RetryPolicy.ts",
  ),
  retry_after_form: guard(
    "A Retry-After that is neither seconds nor a date is ignored.",
    "core/src/http/RetryPolicy.ts",
  ),
  body_utf8: guard("A document is UTF-8 text.", "core/src/JsonObject.ts"),
  body_byte_order_mark: guard(
    "A byte order mark in front is skipped, as real servers send it.",
    "core/src/JsonObject.ts",
  ),
  body_json: guard("A document is JSON.", "core/src/JsonObject.ts"),
  body_object: guard("A document is an object.", "core/src/JsonObject.ts"),
  body_keys_list: guard("A document has a list of keys of its own.", "core/src/jwk/KeyPolicy.ts"),
  max_keys: guard("A document has at most maxKeys entries.", "core/src/jwk/KeyPolicy.ts"),
  no_usable_keys: guard("A document without a usable key is a failure.", "core/src/cache/Revalidation.ts"),
  body_limit_stream: guard(
    "A body is read up to maxResponseBytes, and not a piece further.",
    "core/src/http/GuardedGet.ts",
  ),
  body_limit_announced: guard("A body that says it is too long is not read at all.", "core/src/http/GuardedGet.ts"),
  content_type_not_believed: guard(
    "Real providers send any content type with a good set; what counts is the body.",
    "core/src/http/GuardedGet.ts",
  ),
  body_not_told: guard("No message quotes a body.", "core/src/JsonObject.ts"),
  url_query_not_told: guard("No message shows the query of a URL.", "core/src/JwksError.ts"),
  failure_not_told: guard(
    "Of a client's error its code is told, never its message.",
    "core/src/http/TransportFailure.ts",
  ),
  client_defects: guard("A client that throws is a failed transport.", "core/src/http/GuardedGet.ts"),
  client_status_errors: guard("A client that fails on statuses is understood.", "core/src/http/GuardedGet.ts"),
  key_malformed: guard("An entry is an object with a kty.", "core/src/jwk/KeyPolicy.ts"),
  key_symmetric: guard("A shared secret is dropped.", "core/src/jwk/KeyPolicy.ts"),
  key_private: guard("A key with a private member is dropped.", "core/src/jwk/KeyPolicy.ts"),
  key_type: guard("A key of an unknown type is dropped.", "core/src/jwk/KeyKind.ts"),
  key_curve: guard("A key of an unknown curve is dropped.", "core/src/jwk/KeyKind.ts"),
  key_kid: guard("A kid is text.", "core/src/jwk/KeyPolicy.ts"),
  key_kid_length: guard("A kid has at most 1 KiB.", "core/src/jwk/KeyPolicy.ts"),
  key_use: guard("A key for another use than signatures is dropped.", "core/src/jwk/KeyPolicy.ts"),
  key_ops: guard("A key for other operations than verifying is dropped.", "core/src/jwk/KeyPolicy.ts"),
  key_alg: guard("A key for an algorithm that it can not have is dropped.", "core/src/jwk/KeyKind.ts"),
  key_alg_required: guard("An ML-DSA key says which of the three it is.", "core/src/jwk/KeyKind.ts"),
  key_alg_allowed: guard(
    "A key for algorithms that the registration does not allow is dropped.",
    "core/src/jwk/KeyKind.ts",
  ),
  rsa_multi_prime: guard("An RSA key of more than two primes is dropped.", "core/src/jwk/PublicNumbers.ts"),
  rsa_min_bits: guard("An RSA key is long enough.", "core/src/jwk/PublicNumbers.ts"),
  rsa_max_bits: guard(
    "An RSA key is not so long that verifying with it takes for ever.",
    "core/src/jwk/PublicNumbers.ts",
  ),
  rsa_even: guard("An RSA modulus is odd.", "core/src/jwk/PublicNumbers.ts"),
  rsa_exponent: guard("An RSA exponent is odd and at least 3.", "core/src/jwk/PublicNumbers.ts"),
  rsa_exponent_length: guard("An RSA exponent has at most 32 bits.", "core/src/jwk/PublicNumbers.ts"),
  key_encoding: guard("Numbers of a key are base64url text.", "core/src/jwk/PublicNumbers.ts"),
  ec_length: guard("A coordinate has the length of its curve.", "core/src/jwk/CurvePoint.ts"),
  ec_in_field: guard("A coordinate is a number of the curve's field.", "core/src/jwk/CurvePoint.ts"),
  ec_on_curve: guard("A point is on its curve.", "core/src/jwk/CurvePoint.ts"),
  edwards_length: guard("An Edwards key has the length of its curve.", "core/src/jwk/CurvePoint.ts"),
  edwards_in_field: guard("An Edwards key is a number of the curve's field.", "core/src/jwk/CurvePoint.ts"),
  edwards_on_curve: guard("An Edwards key is a point of its curve.", "core/src/jwk/CurvePoint.ts"),
  edwards_small_order: guard(
    "An Edwards key is not of small order, for which anybody can sign.",
    "core/src/jwk/CurvePoint.ts",
  ),
  akp_length: guard("An ML-DSA key has the length that its algorithm has.", "core/src/jwk/PublicNumbers.ts"),
  key_proto: guard("No member of a key becomes somebody's prototype.", "core/src/jwk/KeyPolicy.ts"),
  answers_frozen: guard("Answers are frozen through and through.", "core/src/jwk/FrozenJson.ts"),
  key_one_by_one: guard("A bad entry costs itself, never the set.", "core/src/jwk/KeyPolicy.ts"),
  key_twice: guard("The same key twice is one key.", "core/src/jwk/KeyPolicy.ts"),
  key_ambiguous: guard("Of different keys under one kid none is guessed.", "core/src/jwk/JwksLookup.ts"),
  lifetime_max: guard("No set lives longer than maxTtl.", "core/src/http/Freshness.ts"),
  lifetime_min: guard(
    "No set lives shorter than minTtl, so that no provider is asked without end.",
    "core/src/http/Freshness.ts",
  ),
  age_bounds: guard("An age of more than ten years is ignored.", "core/src/http/Freshness.ts"),
  age_form: guard("An Age is digits.", "core/src/http/Freshness.ts"),
  date_future: guard("A Date in the future makes nothing younger.", "core/src/http/Freshness.ts"),
  date_base: guard(
    "A server whose clock stands at the beginning of time counts from the time of receipt.",
    "core/src/http/Freshness.ts",
  ),
  expires_invalid: guard('An invalid Expires means "already expired".', "core/src/http/Freshness.ts"),
  nothing_usable: guard("Headers that say nothing to a private cache give defaultTtl.", "core/src/http/Freshness.ts"),
  stale_window_max: guard("No provider lengthens the stale window.", "core/src/http/Freshness.ts"),
  max_age_malformed: guard("A max-age that is no number counts as absent.", "core/src/http/CacheControl.ts"),
  max_age_shortest: guard("Of several max-age the shortest counts.", "core/src/http/CacheControl.ts"),
  directive_names: guard("Directives count in any case.", "core/src/http/CacheControl.ts"),
  directive_lists: guard("Commas in quoted strings separate nothing.", "core/src/http/CacheControl.ts"),
  field_length: guard("A field of more than 8 KiB counts as absent.", "core/src/http/CacheControl.ts"),
  broken_responses: guard(
    "A response that breaks HTTP, or its connection, is a failed transport, told by a code.",
    "core/src/http/TransportFailure.ts",
  ),
  body_whole: guard("A body that broke off is never taken for whole.", "node/src/internal/UndiciClient.ts"),
  header_bytes: guard("A header section has at most maxHeaderBytes.", "node/src/internal/AgentPool.ts"),
  coding_known: guard("A body under an unknown content coding is not read.", "core/src/http/GuardedGet.ts"),
  coding_single: guard("A body under several content codings is not read.", "core/src/http/GuardedGet.ts"),
  bombs: guard("The limit counts decoded bytes, not those that came.", "core/src/http/GuardedGet.ts"),
  coding_end: guard("Nothing follows the end of a coding.", "node/src/internal/ContentDecoding.ts"),
  wire_limit: guard("All that comes is counted, also what comes to nothing.", "node/src/internal/WireLimit.ts"),
  zstd_window: guard("No zstd frame claims more memory than the web's 8 MiB.", "node/src/internal/ContentDecoding.ts"),
  coding_undone_whole: guard(
    "A compressed body that broke off is never taken for whole.",
    "node/src/internal/ContentDecoding.ts",
  ),
  coding_errors: guard("A compressed body that is corrupt is told by a code.", "node/src/internal/ErrorCode.ts"),
  attempt_timeout: guard(
    "An attempt ends with attemptTimeout, whatever the server does.",
    "core/src/cache/Revalidation.ts",
  ),
  deadline: guard("A flight ends with its deadline, whatever the server does.", "core/src/cache/Revalidation.ts"),
  headers_timeout: guard(
    "The operator's headersTimeout ends a response that does not begin.",
    "node/src/internal/AgentPool.ts",
  ),
  body_timeout: guard("The operator's bodyTimeout ends a body that stops.", "node/src/internal/AgentPool.ts"),
  connect_timeout: guard(
    "The operator's connectTimeout ends a connection that is never made.",
    "node/src/internal/Connector.ts",
  ),
  discovery_issuer: guard("Metadata name the issuer that was asked, to the letter.", "core/src/http/Discovery.ts"),
  discovery_issuer_named: guard("Metadata name an issuer.", "core/src/http/Discovery.ts"),
  discovery_jwks_uri: guard("Metadata name an absolute URL.", "core/src/http/Discovery.ts"),
  discovery_policy: guard(
    "The URL that metadata name passes the URL policy; it is checked when it is read, and again when it is fetched.",
    "core/src/http/Discovery.ts",
    "core/src/http/GuardedGet.ts",
  ),
  discovery_downgrade: guard("Metadata that came over https never lead to http.", "core/src/http/Discovery.ts"),
  discovery_body: guard("Metadata are a JSON object.", "core/src/http/Discovery.ts"),
  discovery_bounds: guard("Metadata are fetched within the bounds of every fetch.", "core/src/http/Discovery.ts"),
  discovery_fallback: guard("The second form of metadata is asked for after 404 alone.", "core/src/http/Discovery.ts"),
  discovery_keeps_known: guard(
    "Metadata that can not be read again leave the known URL in place.",
    "core/src/cache/LocatedFetch.ts",
  ),
  discovery_query: guard("An issuer to discover from has no query.", "core/src/registration/Registration.ts"),
  tls_chain: guard(
    "A server's certificate chain leads to an authority that is trusted for it.",
    "node/src/internal/HostTls.ts",
  ),
  tls_host: guard("A server's certificate is for the host that was asked.", "node/src/internal/Connector.ts"),
  tls_host_settings: guard(
    "Authorities and client certificates of one host are not for another.",
    "node/src/internal/HostTls.ts",
  ),
  proxy_tunnel: guard("A proxy that does not open the tunnel is not talked through.", "node/src/internal/Tunnel.ts"),
  proxy_interim: guard("Interim responses of a proxy are passed over.", "node/src/internal/Tunnel.ts"),
  proxy_interim_bytes: guard(
    "All interim responses of a proxy have at most maxHeaderBytes.",
    "node/src/internal/Tunnel.ts",
  ),
  client_speaks_first: guard(
    "Nothing that comes before the request is an answer to it, and nobody connects again for it.",
    "node/src/internal/Connector.ts",
  ),
  pins_match: guard("A server without a pinned key is not asked.", "node/src/internal/Connector.ts"),
  pins_verified_path: guard(
    "Only certificates that vouch for the server count, not whatever it sends along.",
    "node/src/internal/PeerPins.ts",
  ),
  pins_trust_store_first: guard(
    "The path that TLS verified counts, not another that was sent along.",
    "node/src/internal/PeerPins.ts",
  ),
  pins_every_hop: guard("Pins go with every hop.", "core/src/http/GuardedGet.ts"),
  pins_attested: guard("A response that nobody attests is not read under pins.", "core/src/http/GuardedGet.ts"),
  pins_attested_which: guard("A response is attested with the registration's own pins.", "core/src/http/GuardedGet.ts"),
  pins_transport: guard(
    "Pins are refused where the transport can not enforce them.",
    "core/src/registration/Registration.ts",
  ),
  pins_need_https: guard("Pins are refused without https.", "core/src/registration/Registration.ts"),
  pins_form: guard("A pin is the base64 digest that it should be.", "core/src/security/SpkiPin.ts"),
  pins_of_operator: guard("A registration chooses among the operator's pins.", "core/src/registration/Limits.ts"),
  pool_separation: guard(
    "A connection serves only requests under the pins that it was opened with.",
    "node/src/internal/AgentPool.ts",
  ),
  session_resumption: guard(
    "No TLS session is resumed, which would skip the certificates.",
    "node/src/internal/Connector.ts",
  ),
  keep_alive_max: guard(
    "No server keeps a connection open for longer than the operator's keepAlive.",
    "node/src/internal/AgentPool.ts",
  ),
  no_cookies: guard("What a response sets is not sent back.", "node/src/internal/UndiciClient.ts"),
  no_given_headers: guard(
    "Headers that the application gives to fetch do not go to providers.",
    "core/src/http/GuardedGet.ts",
  ),
  no_referrer: guard("No referrer goes to providers.", "core/src/http/GuardedGet.ts"),
  no_trace_headers: guard("No trace headers go to providers.", "core/src/http/GuardedGet.ts"),
  host_of_url: guard("The URL alone names the host that is asked.", "node/src/internal/UndiciClient.ts"),
  no_connection_fields: guard("Fields of the connection are the transport's own.", "node/src/internal/UndiciClient.ts"),
} as const satisfies Readonly<Record<string, Guard>>

/** What a guard is called. */
export type GuardName = keyof typeof guards
