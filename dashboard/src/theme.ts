/** Light, dark, or as the system has it. */
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const place = "steplog-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function kept(): Theme {
  const given = localStorage.getItem(place);
  return given === "light" || given === "dark" ? given : "system";
}

export const theme = signal<Theme>(kept());
/** What is shown. Charts are drawn on canvases, so they are drawn again when it changes. */
export const shownTheme = signal<"light" | "dark">("light");

export function setTheme(chosen: Theme): void {
  theme.value = chosen;
  if (chosen === "system") localStorage.removeItem(place);
  else localStorage.setItem(place, chosen);
  show();
}

function show(): void {
  const chosen = theme.value === "system" ? (system.matches ? "dark" : "light") : theme.value;
  document.documentElement.dataset["theme"] = chosen;
  shownTheme.value = chosen;
}

/** Before the first part of the page is drawn. */
export function startTheme(): void {
  system.addEventListener("change", show);
  show();
}
