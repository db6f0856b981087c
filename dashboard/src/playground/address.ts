/** What the address says: which models are asked, and how. */
import { at } from "../base.ts";

/** How each way of asking is called. */
export const modeNames = { text: "Text", chat: "Messages", labels: "Labels" } as const;
export type Mode = keyof typeof modeNames;

/** More do not fit beside each other. */
export const mostModels = 4;

export interface Address {
  readonly models: readonly string[];
  readonly mode: Mode;
}

/** What it does not say, or says wrongly, is left at its default. */
export function addressIn({ models = "", mode = "" }: Readonly<Record<string, string>>): Address {
  const keys = models.split(",").filter((key) => key !== "");
  return {
    models: [...new Set(keys)].slice(0, mostModels),
    mode: mode in modeNames ? (mode as Mode) : "text",
  };
}

/** The page with these models, asked as text unless told otherwise. */
export function playgroundPath(models: readonly string[], mode: Mode = "text"): string {
  const named = models.length === 0 ? [] : [`models=${models.map(encodeURIComponent).join(",")}`];
  const query = [...named, ...(mode === "text" ? [] : [`mode=${mode}`])].join("&");
  return at(query === "" ? "/playground" : `/playground?${query}`);
}
