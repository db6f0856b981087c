/** Which page is at which address. docs/design/dashboard.md says what each is for. */
import { Provider } from "@urql/preact";
import { LocationProvider, Route, Router } from "preact-iso";
import { urql } from "./api/query.ts";
import { at, ownAddresses } from "./base.ts";
import { ComparePage } from "./compare/compare-page.tsx";
import { DatasetPage } from "./datasets/dataset-page.tsx";
import { DatasetsPage } from "./datasets/datasets-page.tsx";
import { ModelPage } from "./models/model-page.tsx";
import { ModelsPage } from "./models/models-page.tsx";
import { NewPage } from "./new/new-page.tsx";
import { AuditPage } from "./operate/audit/audit-page.tsx";
import { OperatePage } from "./operate/frame.tsx";
import { KeysPage } from "./operate/keys/keys-page.tsx";
import { ProjectsPage } from "./operate/projects/projects-page.tsx";
import { UsagePage } from "./operate/usage/usage-page.tsx";
import { WebhookPage } from "./operate/webhooks/webhook-page.tsx";
import { WebhooksPage } from "./operate/webhooks/webhooks-page.tsx";
import { WorkersPage } from "./operate/workers/workers-page.tsx";
import { PlaygroundPage } from "./playground/playground-page.tsx";
import { RunPage } from "./run/run-page.tsx";
import { RunsPage } from "./runs/runs-page.tsx";
import { Shell } from "./shell/shell.tsx";
import { NewSweepPage } from "./sweeps/new-sweep-page.tsx";
import { SweepPage } from "./sweeps/sweep-page.tsx";
import { SweepsPage } from "./sweeps/sweeps-page.tsx";

export function App() {
  return (
    <Provider value={urql}>
      <LocationProvider scope={ownAddresses}>
        <Shell>
          <Router onRouteChange={arrive}>
            <Route path={at("/")} component={RunsPage} />
            <Route path={at("/fine-tunes/:id")} component={OneRun} />
            <Route path={at("/compare")} component={ComparePage} />
            <Route path={at("/sweeps")} component={SweepsPage} />
            <Route path={at("/sweeps/new")} component={NewSweepPage} />
            <Route path={at("/sweeps/:id")} component={OneSweep} />
            <Route path={at("/datasets")} component={DatasetsPage} />
            <Route path={at("/datasets/:id")} component={OneDataset} />
            <Route path={at("/models")} component={ModelsPage} />
            <Route path={at("/models/:name")} component={OneModel} />
            <Route path={at("/new")} component={NewPage} />
            <Route path={at("/operate")} component={OperatePage} />
            <Route path={at("/operate/keys")} component={KeysPage} />
            <Route path={at("/operate/projects")} component={ProjectsPage} />
            <Route path={at("/operate/usage")} component={UsagePage} />
            <Route path={at("/operate/workers")} component={WorkersPage} />
            <Route path={at("/operate/webhooks")} component={WebhooksPage} />
            <Route path={at("/operate/webhooks/:id")} component={WebhookPage} />
            <Route path={at("/operate/audit")} component={AuditPage} />
            <Route path={at("/playground")} component={PlaygroundPage} />
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

function OneSweep({ id }: { id: string }) {
  return <SweepPage key={id} id={id} />;
}

function OneDataset({ id }: { id: string }) {
  return <DatasetPage key={id} id={id} />;
}

function OneModel({ name }: { name: string }) {
  return <ModelPage key={name} name={name} />;
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
