/** Which page is at which address. docs/design/dashboard.md says what each is for. */
import { Provider } from "@urql/preact";
import type { ComponentType } from "preact";
import { LocationProvider, Route, Router } from "preact-iso";
import { useContext } from "preact/hooks";
import { urql } from "./api/query.ts";
import { allows, ViewerContext } from "./api/viewer.ts";
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
import { Missing } from "./parts/missing.tsx";
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
            <Route path={at("/")} component={Runs} />
            <Route path={at("/fine-tunes/:id")} component={OneRun} />
            <Route path={at("/compare")} component={Compare} />
            <Route path={at("/sweeps")} component={Sweeps} />
            <Route path={at("/sweeps/new")} component={NewSweepPage} />
            <Route path={at("/sweeps/:id")} component={OneSweep} />
            <Route path={at("/datasets")} component={Datasets} />
            <Route path={at("/datasets/:id")} component={OneDataset} />
            <Route path={at("/models")} component={Models} />
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

/** For a key that may not read, the page says so, and asks for nothing. */
function reading<Props extends object>(title: string, Page: ComponentType<Props>) {
  return function Read(props: Props) {
    const viewer = useContext(ViewerContext);
    if (viewer === null || allows(viewer, "READ")) return <Page {...props} />;
    return (
      <>
        <h1>{title}</h1>
        <Missing who={viewer} needs="READ" />
      </>
    );
  };
}

const Runs = reading("Runs", RunsPage);
const Compare = reading("Compare runs", ComparePage);
const Sweeps = reading("Sweeps", SweepsPage);
const Datasets = reading("Datasets", DatasetsPage);
const Models = reading("Models", ModelsPage);

// Another run is another page, with a state of its own.
const OneRun = reading("Run", ({ id }: { id: string }) => <RunPage key={id} id={id} />);
const OneSweep = reading("Sweep", ({ id }: { id: string }) => <SweepPage key={id} id={id} />);
const OneDataset = reading("Dataset", ({ id }: { id: string }) => <DatasetPage key={id} id={id} />);
const OneModel = reading("Model", ({ name }: { name: string }) => <ModelPage key={name} name={name} />);

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
