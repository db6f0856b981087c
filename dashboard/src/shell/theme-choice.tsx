import { setTheme, theme, type Theme } from "../theme.ts";

const themes: readonly (readonly [Theme, string])[] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function ThemeChoice() {
  return (
    <select
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
