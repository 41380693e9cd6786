import * as Effect from "effect/Effect"
import { settingsFromEnvironment } from "../ProvidersConfig.ts"
import { ProviderUnavailable } from "../ProviderUnavailable.ts"

/** Where each comes from; the small letters win, as with most programs. */
const environment = {
  https_proxy: "https_proxy",
  HTTPS_PROXY: "HTTPS_PROXY",
  http_proxy: "http_proxy",
  HTTP_PROXY: "HTTP_PROXY",
  no_proxy: "no_proxy",
  NO_PROXY: "NO_PROXY"
}

/** This machine itself is never behind a proxy. */
const ownHost = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/iu

/**
 * Whether a list like that of `NO_PROXY` has an address: `*`, hosts, domains with or without a dot or `*.` before them
 * (their subdomains are meant, too), each with a port or without.
 */
export const isExempt = ({ hostname, port, protocol }: URL, list: string): boolean => {
  if (ownHost.test(hostname)) return true
  const host = hostname.replace(/^\[(.*)\]$/u, "$1").toLowerCase()
  const own = port === "" ? (protocol === "https:" ? "443" : "80") : port
  return list.toLowerCase().split(/[\s,]+/u).some((entry) => {
    const [, name = entry, wanted] = /^(\[.*\]|[^:]*):(\d+)$/u.exec(entry) ?? []
    if (name === "" || (wanted !== undefined && wanted !== own)) return false
    const domain = name.replace(/^\[(.*)\]$/u, "$1").replace(/^\*?\./u, "")
    return name === "*" || host === domain || host.endsWith(`.${domain}`)
  })
}

/**
 * The proxy that connections to `base_url` go through, as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; undefined: none.
 *
 * `https` addresses (and `wss`) go through `HTTPS_PROXY`, `http` ones through `HTTP_PROXY`; `localhost` and loopback
 * addresses never do. Fails when the variable holds no address of an HTTP proxy; its value, which may hold a password, is
 * not repeated.
 */
export const proxyFor = (
  provider_id: string,
  base_url: string
): Effect.Effect<string | undefined, ProviderUnavailable> =>
  Effect.gen(function*() {
    const url = new URL(base_url.replace(/^ws/iu, "http"))
    const given = yield* settingsFromEnvironment(environment)
    const [small, capital] = url.protocol === "https:" ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy", "HTTP_PROXY"]
    const name = given[small] === undefined ? capital : small
    const proxy = given[name]
    if (proxy === undefined || isExempt(url, given["no_proxy"] ?? given["NO_PROXY"] ?? "")) return undefined
    if (!/^https?:$/u.test(URL.parse(proxy)?.protocol ?? "")) {
      return yield* new ProviderUnavailable({
        provider_id,
        message: `${name} is not the address of a proxy`,
        remedy: `Set ${name} to an address that begins with http or https, or name the vendor's host in NO_PROXY`
      })
    }
    return proxy
  })
