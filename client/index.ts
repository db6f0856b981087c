/** steplog/client: fine-tune models on a running Steplog service. This is the entry for Node; browser.ts is the other. */
import { Client, type SteplogClientOptions } from "./client.ts";
import { nodePlatform } from "./node.ts";

export * from "./public.ts";

/** A client of a Steplog service. */
export class SteplogClient extends Client {
  constructor(options: SteplogClientOptions) {
    super(options, nodePlatform);
  }
}
