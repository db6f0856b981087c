/** What resolvers and routes work with. It arrives as arguments; nothing here reads the environment. */
import type { Logger } from "pino";
import type { Store } from "../store/store.ts";
import type { Tokenizers } from "./tokenizers.ts";
import type { Uploads } from "./http/uploads.ts";

export interface Services {
  readonly store: Store;
  readonly log: Logger;
  readonly uploads: Uploads;
  readonly tokenizers: Tokenizers;
}

/** The context of one request: the services, and this server's address as the client sees it. */
export interface Context extends Services {
  /** Scheme, host and port, without a trailing slash. Links in answers start with it. */
  readonly origin: string;
}
