/**
 * fetch through the proxies of a network. The fetch of Node 20 supports none, and from Node 24 on only for a whole process;
 * undici, on which it is built, does. Only requests to the hub go through proxies.
 */

export interface Proxies {
  /** The proxy for http:// addresses. */
  readonly http: string | undefined;
  /** The proxy for https:// addresses. It tunnels them, and sees only the names of hosts. */
  readonly https: string;
  /** Hosts reached without a proxy, in the format of NO_PROXY. */
  readonly except: string;
}

/** Without proxies, Node's own fetch. */
export async function fetchThrough(proxies: Proxies | null): Promise<typeof fetch> {
  if (proxies === null) return fetch;
  const undici = await import("undici");
  const dispatcher = new undici.EnvHttpProxyAgent({
    // Empty means none; undefined would make undici read the environment itself.
    httpProxy: proxies.http ?? "",
    httpsProxy: proxies.https,
    noProxy: proxies.except,
    // Plain http goes to the proxy without a tunnel: many proxies refuse tunnels to ports other than 443.
    proxyTunnel: false,
  });
  // The package's fetch, because Node's is an older undici that cannot use this agent. They differ only in types.
  const through = undici.fetch as unknown as (input: unknown, init: object) => Promise<Response>;
  return (input, init) => through(input, { ...init, dispatcher });
}
