/** The page's client of the server that it came from, and the API token, which stays in this browser. */
import { SteplogClient } from "../../../client/browser.ts";

const tokenKey = "steplog-token";
export const readToken = () => localStorage.getItem(tokenKey) ?? "";
export const writeToken = (token: string) => localStorage.setItem(tokenKey, token);

export const client = new SteplogClient({ url: location.origin, token: () => readToken() || undefined });

/** Saves a file of the server. A link cannot carry the token, so with one the page fetches the bytes itself. */
export async function download(url: string, name: string): Promise<void> {
  const { stream } = await client.download(url);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await new Response(stream).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
