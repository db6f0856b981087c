/** Which page is at which address. docs/design/dashboard.md says what each is for. */
import { Provider } from "@urql/preact";
import { LocationProvider, Route, Router } from "preact-iso";
import { urql } from "./api/query.ts";
import { at, ownAddresses } from "./base.ts";
import { ComparePage } from "./compare/compare-page.tsx";
import { NewPage } from "./new/new-page.tsx";
import { RunPage } from "./run/run-page.tsx";
import { RunsPage } from "./runs/runs-page.tsx";
import { Shell } from "./shell/shell.tsx";

export function App() {
  return (
    <Provider value={urql}>
      <LocationProvider scope={ownAddresses}>
        <Shell>
          <Router onRouteChange={arrive}>
            <Route path={at("/")} component={RunsPage} />
            <Route path={at("/fine-tunes/:id")} component={OneRun} />
            <Route path={at("/compare")} component={ComparePage} />
            <Route path={at("/new")} component={NewPage} />
            <Route default component={NotFound} />
          </Router>
        </Shell>
      </LocationProvider>
    </Provider>
  );
}

/** Another run is another page, with a state of its own. */
function OneRun({ id }: { id: string }) {
  return <RunPage key={id} id={id} />;
}

/** For screen readers, focus moves to the new page; on a fresh load the browser decides. */
function arrive(): void {
  scrollTo(0, 0);
  document.querySelector<HTMLElement>("main")?.focus({ preventScroll: true });
}

function NotFound() {
  return (
    <>
      <h1>Page not found</h1>
      <p>
        <a href={at("/")}>Show all runs</a>
      </p>
    </>
  );
}
