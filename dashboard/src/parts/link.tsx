import type { ComponentChildren } from "preact";
import { navigate } from "../route.ts";

interface LinkProps {
  readonly href: string;
  readonly class?: string;
  readonly current?: boolean;
  readonly children: ComponentChildren;
}

/** A link within the page. With a modifier key, the browser handles the click as usual. */
export function Link({ href, current = false, children, class: className }: LinkProps) {
  const go = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(href);
  };
  return (
    <a href={href} class={className} onClick={go} aria-current={current ? "page" : undefined}>
      {children}
    </a>
  );
}
