/**
 * Where webhooks may go. Whoever sets one up has the gateway send requests, and must not reach by it what only the gateway's
 * network can: so a name is resolved, and refused if any of its addresses is not on the public internet. It is checked when a
 * webhook is saved, to say so at once, and again by the lookup of each connection, so that the address that was checked is the
 * one that is connected to, whatever the name has become (DNS rebinding).
 */
import { lookup as dnsLookup, type LookupAddress } from "node:dns";
import { type LookupFunction, isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { SteplogError } from "../../schema/errors.ts";

/** True for all addresses; or the hosts that may have private ones. */
export type AllowPrivate = true | readonly string[];

export interface Addresses {
  /** @throws INVALID_ARGUMENT for an address that no webhook may have, or a name that does not resolve */
  check(url: string, field: string): Promise<void>;
  /** For the socket; does not see literal addresses. */
  readonly lookup: LookupFunction;
  /** What is wrong with a literal address. */
  literal(url: URL): string | null;
}

export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

export function addressesOf(allowPrivate: AllowPrivate, resolve: Resolve = resolveAll): Addresses {
  const isFree = (host: string) => allowPrivate === true || allowPrivate.includes(host.toLowerCase());
  const problem = (host: string, addresses: readonly string[]): string | null => {
    const refused = isFree(host) ? undefined : addresses.find((one) => !isPublic(one));
    return refused === undefined ? null : `${host} is ${refused}, which is not on the public internet`;
  };
  const literal = ({ hostname }: URL) => {
    const host = hostname.replaceAll(/[[\]]/gu, "");
    return isIP(host) ? problem(host, [host]) : null;
  };
  const judged = async (host: string): Promise<readonly LookupAddress[] | Error> => {
    try {
      const found = await resolve(host);
      const seen = problem(
        host,
        found.map(({ address }) => address),
      );
      return seen === null ? found : new Error(`${seen}.`);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  };
  return {
    literal,
    lookup(host, options, callback) {
      void judged(host).then((found) => answer(found, options, callback));
    },
    async check(given, field) {
      const url = readUrl(given, field);
      const host = url.hostname.replaceAll(/[[\]]/gu, "");
      const found = isIP(host) ? [host] : await addressesFor(resolve, host, field);
      const seen = problem(host, found);
      if (seen !== null) refuse(field, `${seen}. Give a public address, or have the operator allow it.`);
    },
  };
}

function readUrl(given: string, field: string): URL {
  const url = URL.canParse(given) ? new URL(given) : null;
  if (!url || !["http:", "https:"].includes(url.protocol))
    refuse(field, "must be an address, https://... or http://...");
  if (url.username !== "" || url.password !== "") refuse(field, "must not have a user or a password");
  return url;
}

async function addressesFor(resolve: Resolve, host: string, field: string): Promise<string[]> {
  const found = await resolve(host).catch((error: unknown) => {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return refuse(field, `names ${host}, which cannot be resolved (${code})`);
  });
  return found.map(({ address }) => address);
}

function refuse(field: string, message: string): never {
  throw new SteplogError("INVALID_ARGUMENT", `${field} ${message}.`.replace(/\.\.$/u, "."), [{ field, message }]);
}

function resolveAll(host: string): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    dnsLookup(host, { all: true }, (error, found) => (error ? reject(error) : resolve(found)));
  });
}

function answer(
  found: readonly LookupAddress[] | Error,
  { all, family }: Parameters<LookupFunction>[1],
  callback: Parameters<LookupFunction>[2],
): void {
  if (found instanceof Error) {
    callback(found, []);
    return;
  }
  const wanted = family === 4 || family === 6 ? found.filter((one) => one.family === family) : [...found];
  const [first] = wanted;
  if (!first) callback(new Error("The name has no address."), []);
  else if (all) callback(null, wanted);
  else callback(null, first.address, first.family);
}

/** Azure's address for its machines, in a range of the public internet. */
const metadata = "168.63.129.16";

/** IPv4 addresses in IPv6 ones count as themselves. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const read = ipaddr.process(address);
  return read.range() === "unicast" && read.toString() !== metadata && !isOldLocal(read);
}

/** fec0::/10 and ::/96, which ipaddr.js counts as usual addresses. */
function isOldLocal(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.kind() === "ipv4") return false;
  const [high = 0, ...rest] = (address as ipaddr.IPv6).parts;
  return (high & 0xffc0) === 0xfec0 || [high, ...rest.slice(0, 5)].every((part) => part === 0);
}
