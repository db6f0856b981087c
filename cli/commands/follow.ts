/** steplog follow ID: shows the progress of a fine-tune until it has ended. */
import type { Command } from "commander";
import { followToEnd } from "../follow.ts";
import { urlOption } from "../options.ts";
import { withService } from "../remote.ts";

interface FollowOptions {
  readonly url: string;
  readonly log?: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Follow a fine-tune of a running service to its end, and exit with its outcome.")
    .argument("<id>", "the id of the fine-tune")
    .option("--log <file>", "where to write the .steplog of the last checkpoint")
    .addOption(urlOption())
    .option("--json", "print the outcome as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog follow RmluZVR1bmU6...")
    .action(follow);
}

async function follow(id: string, { url, ...options }: FollowOptions): Promise<void> {
  await withService(url, async (service) => followToEnd(service, () => service.client.fineTune(id), options));
}
