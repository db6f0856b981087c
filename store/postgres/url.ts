/**
 * DATABASE_URL, read strictly: what the driver would pass on to Postgres or drop in silence is named here.
 *
 * A URL of libpq or of another tool may hold parameters that mean nothing here. Those that change nothing we promise are
 * ignored and reported; those that ask for what we cannot do are refused; all others are settings of Postgres.
 */
import { readFileSync } from "node:fs";
import type postgres from "postgres";
import { SteplogError } from "../../schema/errors.ts";
import { wordsOf } from "./failures.ts";

/** As postgres.js takes them: lists of hosts and ports, which its types do not tell, keep an IPv6 address whole. */
interface AddressOptions {
  readonly host?: readonly string[];
  readonly port?: readonly number[];
  /** Of a Unix socket. */
  readonly path?: string;
  readonly database?: string;
  readonly username?: string;
  readonly password?: string;
  readonly ssl?: Ssl;
  readonly target_session_attrs?: (typeof targets)[number];
}

export interface DatabaseAddress {
  readonly options: AddressOptions;
  /** Settings of the session, from the URL. */
  readonly settings: Readonly<Record<string, string>>;
  /** A pooler in transaction mode is in between (`pgbouncer=true`): no prepared statements, no state of sessions. */
  readonly pooled: boolean;
  /** Names of parameters that have no effect. */
  readonly ignored: readonly string[];
  /** For messages: hosts, ports and database, never a password. */
  readonly shown: string;
  /** As given; null without one. */
  readonly sslmode: string | null;
}

const defaultPort = 5_432;

const withoutEffect = new Set(
  wordsOf(`
  channel_binding client_encoding connect_timeout fallback_application_name gssencmode sslcompression
  keepalives keepalives_count keepalives_idle keepalives_interval load_balance_hosts tcp_user_timeout
  connection_limit pool_timeout socket_timeout statement_cache_size uselibpqcompat
`),
);
const unsupported = new Set(
  wordsOf(`
  gsslib hostaddr krbsrvname passfile require_auth requiressl service sslaccept sslcert sslcrl
  sslidentity sslkey sslnegotiation sslpassword
`),
);
const targets = ["read-write", "read-only", "primary", "standby", "prefer-standby"] as const;

/** @throws INVALID_ARGUMENT naming what is wrong and what to give; never shows the password */
export function readDatabaseUrl(databaseUrl: string, variable = "DATABASE_URL"): DatabaseAddress {
  const { hosts, url } = split(databaseUrl, variable);
  const given = new Map(url.searchParams);
  const take = (name: string): string | null => {
    const value = given.get(name) ?? null;
    given.delete(name);
    return value;
  };
  const refuse = (name: string, advice: string) => {
    throw new SteplogError("INVALID_ARGUMENT", `The parameter ${name} of ${variable} ${advice}`);
  };
  for (const name of given.keys()) if (unsupported.has(name)) refuse(name, "is not supported. Leave it out.");
  const schema = take("schema");
  if (schema !== null && schema !== "public") refuse("schema", `is another tool's. Use search_path=${schema} instead.`);
  const pooled = take("pgbouncer") === "true";
  const sslmode = take("sslmode");
  const ssl = sslOf(sslmode, take("sslrootcert"), variable);
  const target = take("target_session_attrs");
  const wanted = targets.find((name) => name === target);
  if (target !== null && target !== "any" && wanted === undefined) {
    refuse("target_session_attrs", `is ${JSON.stringify(target)}. Give any, ${targets.join(", ")}.`);
  }
  const socketFolder = take("host");
  const [first] = hosts;
  const ignored = [...given.keys()].filter((name) => withoutEffect.has(name));
  for (const name of ignored) given.delete(name);
  if (schema !== null) ignored.push("schema");
  const database = decodeURIComponent(url.pathname.slice(1));
  return {
    options: {
      ...(first?.host ? { host: hosts.map(({ host }) => host), port: hosts.map(({ port }) => port) } : {}),
      ...(socketFolder === null ? {} : { path: `${socketFolder}/.s.PGSQL.${first?.port ?? defaultPort}` }),
      ...(database === "" ? {} : { database }),
      ...(url.username === "" ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
      ...(ssl === null ? {} : { ssl }),
      ...(wanted === undefined ? {} : { target_session_attrs: wanted }),
    },
    settings: Object.fromEntries(given),
    pooled,
    ignored,
    shown: `${socketFolder ?? hosts.map(({ host, port }) => `${host}:${port}`).join(",")}${url.pathname}`,
    sslmode,
  };
}

interface Host {
  readonly host: string;
  readonly port: number;
}

/** The hosts, of which there may be several, and the rest as a URL of the first. */
function split(databaseUrl: string, variable: string): { hosts: readonly Host[]; url: URL } {
  const parts = /^(postgres(?:ql)?:\/\/)((?:[^@/?#]*@)?)([^/?#]*)([^#]*)$/u.exec(databaseUrl.trim());
  try {
    if (!parts) throw new TypeError("it is not postgres://...");
    const [, scheme = "", user = "", hosts = "", rest = ""] = parts;
    const names = hosts.split(",");
    const urls = names.map((host) => new URL(`${scheme}${user}${host || "localhost"}${rest}`));
    const [url] = urls;
    if (!url) throw new TypeError("it has no host");
    for (const part of [url.username, url.password, url.pathname]) decodeURIComponent(part);
    return {
      url,
      hosts: urls.map(({ hostname, port }, index) => ({
        host: names[index] === "" ? "" : bare(hostname),
        port: Number(port || defaultPort),
      })),
    };
  } catch {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `${variable} is not a valid URL. Give postgres://user:password@host:5432/database, and percent-encode special ` +
        "characters in the user and the password: @ is %40, : is %3A, / is %2F, # is %23, ? is %3F, % is %25.",
    );
  }
}

/** An IPv6 address without its brackets, an escaped path of a socket as it is. */
function bare(hostname: string): string {
  return decodeURIComponent(hostname).replace(/^\[(.*)\]$/u, "$1");
}

type Ssl = NonNullable<postgres.Options<Record<string, never>>["ssl"]>;

/** As libpq reads sslmode. Null for the driver's default. */
function sslOf(mode: string | null, rootCertificate: string | null, variable: string): Ssl | null {
  const ca =
    rootCertificate === null || rootCertificate === "system" ? undefined : certificate(rootCertificate, variable);
  const verified = { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) };
  // libpq checks the certificate, not the name, when it is given a root certificate for `require`.
  const anyName = { ...verified, checkServerIdentity: () => undefined };
  switch (mode) {
    case null:
      return rootCertificate === null ? null : verified;
    case "disable":
      return false;
    case "allow":
    case "prefer":
      return "prefer";
    case "require":
      return rootCertificate === null ? "require" : anyName;
    case "verify-ca":
      return anyName;
    case "verify-full":
      return verified;
    default:
      throw new SteplogError(
        "INVALID_ARGUMENT",
        `sslmode in ${variable} is ${JSON.stringify(mode)}. Give disable, prefer, require, verify-ca or verify-full.`,
      );
  }
}

function certificate(path: string, variable: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const message = `sslrootcert in ${variable} names ${path}, which cannot be read. Give the path of a PEM file.`;
    throw new SteplogError("INVALID_ARGUMENT", message, [], { cause });
  }
}
