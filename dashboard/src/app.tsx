/** The frame around every page. */
import { useEffect, useRef } from "preact/hooks";
import { ListPage } from "./pages/list.tsx";
import { NewPage } from "./pages/new.tsx";
import { RunPage } from "./pages/run.tsx";
import { Link } from "./parts/link.tsx";
import { usePath } from "./route.ts";

export function App() {
  const path = usePath();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  // After navigation, focus moves to the new page for screen readers; on a fresh load the browser decides.
  useEffect(() => {
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="bar">
        <Link class="brand" href="/">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          Steplog
        </Link>
        <nav aria-label="Pages">
          <Link href="/" current={path === "/"}>
            Fine-tunes
          </Link>
          <Link href="/new" current={path === "/new"}>
            New
          </Link>
          <a href="/graphql">API</a>
        </nav>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Page path={path} />
      </main>
    </>
  );
}

function Page({ path }: { path: string }) {
  const run = /^\/fine-tunes\/([^/]+)$/u.exec(path)?.[1];
  if (run !== undefined) return <RunPage key={run} id={decodeURIComponent(run)} />;
  if (path === "/new") return <NewPage />;
  if (path === "/") return <ListPage />;
  return (
    <>
      <h1>Page not found</h1>
      <p>
        <Link href="/">Show all fine-tunes</Link>
      </p>
    </>
  );
}
