/**
 * fetch through the proxies of a network. Node 20's own knows none; undici, which it is made of, does. Only the hub is asked
 * this way: nothing is set for the whole process.
 */

export interface Proxies {
  /** Address of the one for http://. */
  readonly http: string | undefined;
  /** Address of the one for https://, which sees names of hosts alone: what goes through is a tunnel. */
  readonly https: string;
  /** Hosts that are reached without, as NO_PROXY writes them. */
  readonly except: string;
}

/** Null: Node's own. */
export async function fetchThrough(proxies: Proxies | null): Promise<typeof fetch> {
  if (proxies === null) return fetch;
  const undici = await import("undici");
  const dispatcher = new undici.EnvHttpProxyAgent({
    // Empty is none; left out, undici would look for variables itself.
    httpProxy: proxies.http ?? "",
    httpsProxy: proxies.https,
    noProxy: proxies.except,
    // What is not encrypted is asked of the proxy, not through a tunnel: many refuse one to a port other than 443.
    proxyTunnel: false,
  });
  // The package's fetch with the package's agent: Node's own is an older undici. They differ in types, not in deeds.
  const through = undici.fetch as unknown as (input: unknown, init: object) => Promise<Response>;
  return (input, init) => through(input, { ...init, dispatcher });
}
