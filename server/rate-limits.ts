/**
 * How many requests may come, by API key, and by address where there are no keys. Each gateway counts for itself and in memory:
 * a count that gateways share would be a write to Postgres for every request (docs/decisions/0063-rate-limits.md). Where there
 * are neither keys nor a token, and nobody but this machine reaches the gateway, nothing is limited unless asked for.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { SteplogError } from "../schema/errors.ts";
import type { Viewer } from "../schema/projects.ts";
import { type RateName, type Rates, type RateUse, rateNames, rateWindowS, usualRates } from "../schema/rates.ts";

export interface RateOptions {
  /** `auto`: unless the gateway has no keys, and only this machine reaches it. */
  readonly mode: "auto" | "on" | "off";
  readonly rates: Rates;
  /** Proxies in front of the gateway that add the address they were called from to X-Forwarded-For. */
  readonly proxies: number;
}

export const usualRateOptions: RateOptions = { mode: "auto", rates: usualRates, proxies: 0 };

/** What one key or address has used, and may. */
export interface Meter {
  /** @throws RATE_LIMITED without charging anything */
  charge(name: RateName, points: number): Promise<void>;
  /** Null for what has no limit. */
  use(name: RateName): Promise<RateUse | null>;
  uses(): Promise<RateUse[]>;
  /** Tells partitions apart, and nothing about the key. */
  readonly partition: Buffer;
}

export class RateLimits {
  readonly #options: RateOptions;
  readonly #isLocal: boolean;
  /** The limit of each key is compared here, since keys may have limits of their own. */
  readonly #used = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: rateWindowS });

  /** @param isLocal whether only this machine reaches the gateway */
  constructor(options: RateOptions, isLocal: boolean) {
    this.#options = options;
    this.#isLocal = isLocal;
  }

  /** @param asks whether requests need a key or the token; null for whoever has no limits */
  meterOf(viewer: Viewer, request: IncomingMessage, asks: boolean): Meter | null {
    const { mode, proxies } = this.#options;
    if (mode === "off" || (mode === "auto" && this.#isLocal && !asks)) return null;
    const whose = viewer.key?.id ?? (asks ? "token" : networkOf(request, proxies));
    const rates = { ...this.#options.rates, ...viewer.rates };
    const use = (name: RateName) => this.#use(name, whose, rates[name]);
    return {
      charge: (name, points) => this.#charge(name, whose, { limit: rates[name], points }),
      use,
      uses: async () => (await Promise.all(rateNames.map(use))).filter((one) => one !== null),
      partition: createHash("sha256").update(`rate limits of ${whose}`).digest().subarray(0, 9),
    };
  }

  async #charge(name: RateName, whose: string, { limit, points }: { limit: number; points: number }): Promise<void> {
    if (limit === 0) return;
    const id = `${name} ${whose}`;
    // What costs more than a whole window may have one to itself.
    const charged = Math.min(points, limit);
    const { consumedPoints, msBeforeNext } = await this.#used.penalty(id, charged);
    if (consumedPoints <= limit) return;
    await this.#used.reward(id, charged);
    throw limited(name, { limit, charged, left: limit - (consumedPoints - charged), inS: inSeconds(msBeforeNext) });
  }

  async #use(name: RateName, whose: string, limit: number): Promise<RateUse | null> {
    if (limit === 0) return null;
    const found = await this.#used.get(`${name} ${whose}`);
    const remaining = Math.max(0, limit - (found?.consumedPoints ?? 0));
    return { name, limit, remaining, resetsInS: found ? inSeconds(found.msBeforeNext) : rateWindowS };
  }
}

interface Refused {
  readonly limit: number;
  readonly charged: number;
  readonly left: number;
  readonly inS: number;
}

function limited(name: RateName, { limit, charged, left, inS }: Refused): SteplogError {
  const [one, many] = name === "graphql" ? ["point", "points"] : ["request", "requests"];
  const whole = `${limit} ${limit === 1 ? one : many} in ${rateWindowS} seconds`;
  const seen = name === "graphql" ? `${left} are left, and this takes ${charged}` : `${left} are left`;
  const message = `The limit ${name} is ${whole}; ${seen}. Try again in ${inS} s.`;
  return new SteplogError("RATE_LIMITED", message, [], { retryAfterS: inS });
}

function inSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}

/**
 * The address of a client, or its network: whoever has an IPv6 address has 2^64 of them. Of X-Forwarded-For, what our own
 * proxies added is at the end; what is before it may be anything.
 */
export function networkOf({ headers, socket }: Pick<IncomingMessage, "headers" | "socket">, proxies: number): string {
  const forwarded = String(headers["x-forwarded-for"] ?? "").split(",");
  const told = proxies === 0 ? undefined : forwarded.at(-proxies)?.trim();
  const address = told !== undefined && ipaddr.isValid(told) ? told : (socket.remoteAddress ?? "");
  if (!ipaddr.isValid(address)) return "unknown";
  const parsed = ipaddr.process(address);
  return parsed.kind() === "ipv4"
    ? parsed.toString()
    : `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/64`).toString()}/64`;
}
