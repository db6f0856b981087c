/** What resolvers and routes work with. All of it arrives as arguments; nothing here reads the environment. */
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

/** One request's view: the services, and the address under which the client sees this server. */
export interface Context extends Services {
  /** Scheme, host and port, with no slash at the end. Links in answers start with it. */
  readonly origin: string;
}
