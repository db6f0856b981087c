/** steplog/client, as browsers load it. */
import { SteplogError } from "../schema/errors.ts";
import { Client, type SteplogClientOptions } from "./client.ts";
import type { Platform } from "./platform.ts";

export * from "./public.ts";

const noFiles = async (path: string): Promise<never> => {
  throw new SteplogError("INVALID_ARGUMENT", `A browser has no file ${path}. Use a stream or bytes instead.`);
};

const browserPlatform: Platform = {
  webSocket: () => Promise.resolve(WebSocket),
  openFile: noFiles,
  saveFile: noFiles,
  // Few browsers can send a stream, and those need HTTP/2.
  bodyOf: async (bytes) => ({ body: await new Response(bytes).blob() }),
};

/** A client of a Steplog service. */
export class SteplogClient extends Client {
  constructor(options: SteplogClientOptions) {
    super(options, browserPlatform);
  }
}
