/** Light, dark, or as the system has it: the choice of the dashboard, kept under its name. Runs before the page is drawn. */
const place = "steplog-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen(): string {
  const kept = localStorage.getItem(place);
  return kept === "light" || kept === "dark" ? kept : "system";
}

function show(): void {
  const theme = chosen();
  document.documentElement.dataset["theme"] = theme === "system" ? (system.matches ? "dark" : "light") : theme;
}

show();
system.addEventListener("change", show);
document.addEventListener("DOMContentLoaded", () => {
  const select = document.querySelector<HTMLSelectElement>("#theme");
  if (!select) return;
  select.value = chosen();
  select.addEventListener("change", () => {
    if (select.value === "system") localStorage.removeItem(place);
    else localStorage.setItem(place, select.value);
    show();
  });
});
