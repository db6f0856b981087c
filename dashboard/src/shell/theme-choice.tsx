import { setTheme, theme, type Theme } from "../theme.ts";

const themes: readonly (readonly [Theme, string])[] = [
  ["system", "System theme"],
  ["light", "Light theme"],
  ["dark", "Dark theme"],
];

export function ThemeChoice() {
  return (
    <select
      class="theme"
      aria-label="Theme"
      value={theme.value}
      onChange={({ currentTarget }) => setTheme(currentTarget.value as Theme)}
    >
      {themes.map(([value, name]) => (
        <option key={value} value={value} selected={value === theme.value}>
          {name}
        </option>
      ))}
    </select>
  );
}
