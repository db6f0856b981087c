/** The frame around every page: the bar with its links, what is wrong with the connection, signing in, and the keys. */
import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { useEffect, useRef } from "preact/hooks";
import type { Failure } from "../api/failure.ts";
import { allows, type Right, useViewer, ViewerContext } from "../api/viewer.ts";
import { at } from "../base.ts";
import { useShortcuts } from "../keys.ts";
import { Problem } from "../parts/problem.tsx";
import { Toasts } from "../parts/toast.tsx";
import { Account } from "./account.tsx";
import { Keys } from "./keys-help.tsx";
import { SignIn } from "./sign-in.tsx";
import { Stale } from "./stale.tsx";
import { ThemeChoice } from "./theme-choice.tsx";

const places = [
  { name: "Runs", path: "/", keys: "g r", needs: "READ" },
  { name: "New run", path: "/new", keys: "n", needs: "TRAIN" },
  { name: "Sweeps", path: "/sweeps", keys: "g s", needs: "READ" },
  { name: "Datasets", path: "/datasets", keys: "g d", needs: "READ" },
  { name: "Models", path: "/models", keys: "g m", needs: "READ" },
  { name: "Playground", path: "/playground", keys: "g p", needs: null },
  { name: "Operate", path: "/operate", keys: "g o", needs: "READ" },
] as const satisfies readonly { name: string; path: string; keys: string; needs: Right | null }[];

export function Shell({ children }: { children: ComponentChildren }) {
  const { route, path } = useLocation();
  const menu = useRef<HTMLElement>(null);
  const { viewer, failure, showsPages } = useViewer();
  const offered = places.filter(({ needs }) => needs === null || (showsPages && allows(viewer, needs)));
  useShortcuts(offered.map(({ name, path: to, keys }) => ({ keys, does: `Go to ${name}`, run: () => route(at(to)) })));
  // On a phone, the links lie over the page until one is chosen.
  useEffect(() => menu.current?.hidePopover?.(), [path]);
  return (
    <ViewerContext.Provider value={viewer}>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="bar">
        <a class="brand" href={at("/")}>
          <img src={at("/favicon.svg")} alt="" width="24" height="24" />
          Steplog
        </a>
        <button type="button" class="quiet menu-button" popovertarget="pages" aria-label="Pages">
          <span aria-hidden="true">☰</span>
        </button>
        <nav id="pages" popover="auto" ref={menu} aria-label="Pages">
          {offered.map(({ name, path: to }) => (
            <a key={to} href={at(to)} aria-current={isCurrent(path, to) ? "page" : undefined}>
              {name}
            </a>
          ))}
          <a href={at("/graphql")}>API</a>
          <a href={at("/docs/")}>Docs</a>
        </nav>
        <div class="bar-end">
          <ThemeChoice />
          <Account />
        </div>
      </header>
      <Stale />
      <main id="main" tabIndex={-1}>
        {showsPages ? children : <Waiting failure={failure} />}
      </main>
      <Toasts />
      <SignIn />
      <Keys />
    </ViewerContext.Provider>
  );
}

function Waiting({ failure }: { failure: Failure | null }) {
  if (failure === null) return <p class="muted">Loading…</p>;
  return <Problem title="What your key allows could not be read" failure={failure} />;
}

/** A run belongs to the runs, and so does what compares them. */
function isCurrent(path: string, place: string): boolean {
  const here = path.slice(at("").length) || "/";
  return place === "/" ? /^\/(?:$|fine-tunes\/|compare)/u.test(here) : here.startsWith(place);
}
