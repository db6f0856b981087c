/** What the pages of Operate share: the links between them, the title with the main action, and who may see the page. */
import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { useEffect, useRef } from "preact/hooks";
import type { Scope } from "../../../client/schema-types.ts";
import { allows } from "../api/viewer.ts";
import { at } from "../base.ts";
import { useShortcuts } from "../keys.ts";
import { Missing } from "../parts/missing.tsx";
import { Problem } from "../parts/problem.tsx";
import { useWho, type Who } from "./who.ts";

const parts = [
  { name: "Keys", path: "/operate/keys" },
  { name: "Projects", path: "/operate/projects" },
  { name: "Usage", path: "/operate/usage" },
  { name: "Workers", path: "/operate/workers" },
  { name: "Webhooks", path: "/operate/webhooks" },
  { name: "Audit log", path: "/operate/audit" },
] as const;

interface FrameProps {
  readonly title: (typeof parts)[number]["name"];
  /** Without this scope the page shows nothing but that it is missing. */
  readonly needs: Scope;
  readonly action?: (who: Who) => ComponentChildren;
  readonly children: (who: Who) => ComponentChildren;
}

export function OperateFrame({ title, needs, action, children }: FrameProps) {
  const { path, route } = useLocation();
  const { who, failure } = useWho();
  const links = useRef<HTMLElement>(null);
  useEffect(() => {
    const show = () => showCurrent(links.current);
    show();
    addEventListener("resize", show);
    return () => removeEventListener("resize", show);
  }, [path]);
  useEffect(() => {
    document.title = `${title} · Operate · Steplog`;
  }, [title]);
  useShortcuts(
    parts.map(({ name, path: to }, index) => ({
      keys: String(index + 1),
      does: `Operate: go to ${name}`,
      run: () => route(at(to)),
    })),
  );
  const allowed = who !== null && allows(who, needs);
  return (
    <>
      <nav ref={links} class="subnav" aria-label="Operate">
        {parts.map(({ name, path: to }) => (
          <a key={to} href={at(to)} aria-current={`${path}/`.startsWith(`${at(to)}/`) ? "page" : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <div class="title">
        <h1>{title}</h1>
        {who && allowed && action?.(who)}
      </div>
      {failure && who === null && <Problem title="Who is signed in could not be read" failure={failure} />}
      {who === null && failure === null && <p class="muted">Loading…</p>}
      {who && !allowed && <Missing who={who} needs={needs} />}
      {who && allowed && children(who)}
    </>
  );
}

/** On a phone the link of the page may be out of sight. */
function showCurrent(links: HTMLElement | null): void {
  const current = links?.querySelector<HTMLElement>("[aria-current]");
  if (links && current) links.scrollLeft = current.offsetLeft - (links.clientWidth - current.offsetWidth) / 2;
}

/** /operate leads to the first page that the viewer may see. */
export function OperatePage() {
  const { route } = useLocation();
  const { who, failure } = useWho();
  const to = who === null ? null : at(who.scopes.includes("ADMIN") ? "/operate/keys" : "/operate/usage");
  useEffect(() => {
    if (to !== null) route(to, true);
  }, [to]);
  return (
    <>
      <h1>Operate</h1>
      {failure && <Problem title="Who is signed in could not be read" failure={failure} />}
    </>
  );
}
