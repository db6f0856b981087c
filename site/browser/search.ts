/** Search as one types: a list below the field, walked by the arrow keys. "/" goes to the field. */
import MiniSearch from "minisearch";
import { options, type Section } from "./search-options.ts";

const shown = 12;

export function startSearch(): void {
  const field = document.querySelector<HTMLInputElement>("#search");
  const list = document.querySelector<HTMLElement>("#found");
  const status = document.querySelector<HTMLElement>("#found-count");
  if (!field || !list || !status) return;
  let loading: Promise<MiniSearch<Section>> | undefined;
  const index = () => (loading ??= load(field.dataset["index"] ?? ""));
  // Loaded when somebody is about to type, and asked for again after a failure.
  field.addEventListener("focus", () => void index().catch(() => (loading = undefined)));
  field.addEventListener("input", () => {
    index().then(
      (loaded) => show(loaded, field.value, list, status),
      () => (status.textContent = "The index cannot be loaded."),
    );
  });
  addEventListener("keydown", (event) => onKey(event, field, list));
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Node && !list.contains(target) && target !== field) list.hidden = true;
  });
}

async function load(address: string): Promise<MiniSearch<Section>> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return MiniSearch.loadJSON(await answer.text(), options);
}

function show(index: MiniSearch<Section>, query: string, list: HTMLElement, status: HTMLElement): void {
  const found = query.trim() === "" ? [] : index.search(query);
  list.replaceChildren(...found.slice(0, shown).map(line));
  list.hidden = query.trim() === "";
  status.textContent = query.trim() === "" ? "" : found.length === 0 ? "Nothing found." : `${found.length} found.`;
  if (found.length === 0 && query.trim() !== "") list.append(nothing(query));
}

function line({ id, page, title }: { id: unknown } & Record<string, unknown>): HTMLElement {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = String(id);
  const where = document.createElement("span");
  where.textContent = title === page ? "" : String(page);
  link.append(String(title), where);
  item.append(link);
  return item;
}

function nothing(query: string): HTMLElement {
  const item = document.createElement("li");
  item.className = "none";
  item.textContent = `Nothing has all the words of “${query.trim()}”.`;
  return item;
}

function onKey(event: KeyboardEvent, field: HTMLInputElement, list: HTMLElement): void {
  const at = document.activeElement;
  const typing = at instanceof HTMLInputElement || at instanceof HTMLSelectElement;
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    field.focus();
  }
  if (at !== field && !list.contains(at)) return;
  if (event.key === "Escape") {
    list.hidden = true;
    field.focus();
  }
  const links = [...list.querySelectorAll("a")];
  const now = links.findIndex((link) => link === at);
  if (event.key === "Enter" && at === field) links[0]?.click();
  const next = event.key === "ArrowDown" ? now + 1 : event.key === "ArrowUp" ? now - 1 : null;
  if (next === null || list.hidden) return;
  event.preventDefault();
  (links[next] ?? field).focus();
}
