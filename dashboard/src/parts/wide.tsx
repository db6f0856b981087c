import type { ComponentChildren } from "preact";

/** What is wider than the page is scrolled within it, by the keyboard too. */
export function Wide({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="wide-table" role="region" aria-label={`${name}, scrolls sideways`} tabIndex={0}>
      {children}
    </div>
  );
}
