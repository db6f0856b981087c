/** What resolvers and routes work with. The store is that of whoever asks, and there is no other. It arrives as arguments; nothing here reads the environment. */
import type { ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { Tracing } from "../schema/tracing.ts";
import type { ProjectStore } from "../store/store.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Metrics } from "./metrics.ts";
import type { Attention } from "./attention.ts";
import type { Meter } from "./rate-limits.ts";
import type { Uploads } from "./http/uploads.ts";
import type { Addresses } from "./webhooks/addresses.ts";

export interface Services {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Null where nobody wants traces. */
  readonly tracing: Tracing | null;
  readonly uploads: Uploads;
  /** Reads what clients and model folders bring. */
  readonly sandbox: Sandbox;
  /** Folder of the base models. */
  readonly modelsDir: string;
  readonly completions: CompletionServices;
  /** How long rebuilt weights stay after their last use, where a project says nothing; 0 for as long as their checkpoint. */
  readonly keepExportsSeconds: number;
  /** Where webhooks may go. */
  readonly webhookAddresses: Addresses;
}

/** What answers need. */
export interface CompletionServices {
  /** Makes tokens of prompts. */
  readonly sandbox: Sandbox;
  readonly attention: Attention;
  /** Requests that may wait for a worker, for how long, and how long answers are kept. */
  readonly queueLimit: number;
  readonly waitMs: number;
  readonly keepMs: number;
}

/** The services, for one viewer. */
export interface ViewerServices extends Services {
  readonly store: ProjectStore;
}

/** Charges points, and tells the client what is left where there are headers. @throws RATE_LIMITED */
export type Charge = (points: number) => Promise<void>;

/** The context of one request: the services, and this server's address as the client sees it. */
export interface Context extends ViewerServices {
  /** Scheme, host and port, without a trailing slash. Links in answers start with it. */
  readonly origin: string;
  /** Aborted when the client has left. */
  readonly signal: AbortSignal;
  /** What the key has used of its rate limits; null for whoever has none. */
  readonly meter: Meter | null;
  /** Of the limit `graphql`. */
  readonly charge: Charge;
}

/** Aborted when the connection closes before the whole answer was sent. */
export function whenGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}
