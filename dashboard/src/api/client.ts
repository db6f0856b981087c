/** The page's client of the service that it came from. */
import { SteplogClient } from "../../../client/browser.ts";
import { baseUrl } from "../base.ts";
import { readKey } from "./session.ts";

/** Streams, uploads and downloads. Queries and mutations: query.ts. Of a rate limit, the page tells at once. */
export const client = new SteplogClient({ url: baseUrl, token: () => readKey() || undefined, rateLimitPatienceMs: 0 });

/** Saves a file of the service. A link cannot carry the key, so with one the page fetches the bytes itself. */
export async function download(url: string, name: string): Promise<void> {
  const { stream } = await client.download(url);
  save(await new Response(stream).blob(), name);
}

/** Hands bytes to the browser as a download. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
