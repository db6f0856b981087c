/** Where the page is: at the root of a host, or below a prefix that the gateway writes into <base>. */

/** "", or a prefix such as "/steplog". */
export const basePath = new URL(document.baseURI).pathname.replace(/\/$/u, "");
export const baseUrl = `${location.origin}${basePath}`;

/** The address of a page of ours: at("/models") is "/steplog/models". */
export const at = (path: string) => `${basePath}${path}`;
export const runPath = (id: string) => at(`/fine-tunes/${encodeURIComponent(id)}`);
export const comparePath = (ids: readonly string[]) => at(`/compare?runs=${ids.map(encodeURIComponent).join(",")}`);
export const sweepPath = (id: string) => at(`/sweeps/${encodeURIComponent(id)}`);
/** A new run, with the settings and rows of another to begin with. */
export const copyPath = (from: string) => at(`/new?from=${encodeURIComponent(from)}`);
/** A new sweep, of the settings of a run. */
export const newSweepPath = (from: string) => at(`/sweeps/new?from=${encodeURIComponent(from)}`);
export const datasetPath = (id: string) => at(`/datasets/${encodeURIComponent(id)}`);
export const modelPath = (name: string) => at(`/models/${encodeURIComponent(name)}`);

const pages = "fine-tunes/[^/]+|compare|sweeps|new|datasets|models|playground|operate";

/** Clicks on these addresses stay within the page; others, such as the API and files, are the browser's. */
export const ownAddresses = new RegExp(
  String.raw`^${basePath.replaceAll(/[^\w/]/gu, String.raw`\$&`)}/(?:$|[?#]|(?:${pages})(?:[?#]|/?$|/(?!log\.)))`,
  "u",
);
