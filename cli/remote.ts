/** A running service, as commands reach it: its client, and errors that say what to do on a command line. */
import { SteplogClient } from "../client/index.ts";
import { SteplogError } from "../schema/errors.ts";
import { readVariable } from "./environment.ts";
import { note } from "./output.ts";

export interface Remote {
  readonly client: SteplogClient;
  readonly url: string;
}

/**
 * Does something with the service at `url`, with the token of STEPLOG_API_TOKEN: with nobody else, whose refusals would be taken
 * for the service's.
 * @throws INVALID_ARGUMENT for what is not an address; UNAUTHENTICATED naming the variable
 */
export async function withService<T>(url: string, work: (service: Remote) => Promise<T>): Promise<T> {
  if (!/^https?:\/\//u.test(url) || !URL.canParse(url)) {
    const advice = "Give the address of the service with --url or STEPLOG_URL, such as http://127.0.0.1:4000.";
    throw new SteplogError("INVALID_ARGUMENT", `${JSON.stringify(url)} is not an address. ${advice}`);
  }
  const token = readVariable("STEPLOG_API_TOKEN");
  try {
    return await work({ client: new SteplogClient({ url, token, onRateLimit }), url });
  } catch (error) {
    if (!(error instanceof SteplogError)) throw error;
    if (error.code === "UNAVAILABLE" && error.message.includes("does not answer")) throw notRunning(error);
    if (error.code !== "UNAUTHENTICATED") throw error;
    const message =
      token === undefined
        ? `The service at ${url} needs an API key. Set STEPLOG_API_TOKEN to it. To make one: steplog keys create`
        : `The service at ${url} refused what STEPLOG_API_TOKEN holds. Set it to an API key, or to the token that the service was started with.`;
    throw new SteplogError("UNAUTHENTICATED", message, [], { cause: error });
  }
}

function onRateLimit(seconds: number): void {
  note(`Too many requests in the last minute. Going on in ${seconds} s.`);
}

function notRunning(error: SteplogError): SteplogError {
  const advice = "To start one on this machine: steplog start. To use another: --url or STEPLOG_URL.";
  return new SteplogError("UNAVAILABLE", `${error.message} ${advice}`, error.issues, { cause: error });
}

/** The command line that does `command` with a fine-tune of the service. */
export function commandFor(command: string, id: string, { url }: Remote): string {
  const usual = url === readVariable("STEPLOG_URL");
  return `steplog ${command} ${id}${usual ? "" : ` --url ${url}`}`;
}
