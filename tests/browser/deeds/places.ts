/** A project with something for every deed of the page, and where on the page each of it is. */
import { expect } from "vitest";
import { defaultProjectId } from "../../../schema/projects.ts";
import type { Scope } from "../../../client/schema-types.ts";
import {
  createDataset,
  createFineTuneMutation,
  FakeWorker,
  modelRow,
  type CreatedFineTune,
  type TestServer,
} from "../../server/harness.ts";

export const everyScope: readonly Scope[] = ["READ", "WRITE", "TRAIN", "INFER", "ADMIN"];

/** A part of the page: its address, and what is there once it has been read. */
export interface Place {
  readonly address: string;
  readonly shows: string | RegExp;
}

export interface Places {
  readonly all: Readonly<Record<PlaceName, Place>>;
  /** Whose admins are no operators. */
  readonly otherProject: string;
}
export type PlaceName =
  | "runs"
  | "ended"
  | "going"
  | "paused"
  | "sweep"
  | "new sweep"
  | "new run"
  | "datasets"
  | "dataset"
  | "models"
  | "model"
  | "playground"
  | "keys"
  | "projects"
  | "webhooks"
  | "webhook";

/** Of a service that has no keys yet. */
export async function makePlaces(server: TestServer): Promise<Places> {
  const { store } = server;
  const [dataset, held] = [await createDataset(server, "reviews"), await createDataset(server, "held back")];
  const ended = await endedRun(server, dataset, held);
  const going = await runOf(server, "going", dataset);
  await (await FakeWorker.claim(store)).train(1);
  const paused = await runOf(server, "paused", dataset);
  await server.ask("mutation ($id: ID!) { pauseFineTune(id: $id) { id } }", { id: paused });
  const sweep = await sweepOf(server, dataset);
  await modelsOf(server);
  const query = 'mutation { createWebhook(input: { url: "http://localhost:1/hook" }) { webhook { id } } }';
  const { createWebhook } = await server.ask<{ createWebhook: { webhook: { id: string } } }>(query);
  await server.ask("mutation ($id: ID!) { testWebhook(id: $id) { id } }", { id: createWebhook.webhook.id });
  const { id: otherProject } = await store.projects.create("others");
  const all = {
    runs: { address: "/", shows: "ended" },
    ended: { address: `/fine-tunes/${addressOf(ended)}`, shows: "Copy the chain hash" },
    going: { address: `/fine-tunes/${addressOf(going)}`, shows: "More actions of going" },
    paused: { address: `/fine-tunes/${addressOf(paused)}`, shows: "More actions of paused" },
    sweep: { address: `/sweeps/${addressOf(sweep)}`, shows: "More actions of rates" },
    "new sweep": { address: `/sweeps/new?from=${addressOf(ended)}`, shows: "New sweep" },
    "new run": { address: "/new", shows: "New run" },
    datasets: { address: "/datasets", shows: "held back" },
    dataset: { address: `/datasets/${addressOf(dataset)}`, shows: "Runs that use it" },
    models: { address: "/models", shows: "private" },
    model: { address: "/models/bytes", shows: "Runs that start from it" },
    playground: { address: "/playground?models=bytes", shows: "View code" },
    keys: { address: "/operate/keys", shows: /needs the scope|State/u },
    projects: { address: "/operate/projects", shows: /needs the scope|Keeps what it creates/u },
    webhooks: { address: "/operate/webhooks", shows: /needs the scope|Is told/u },
    webhook: {
      address: `/operate/webhooks/${addressOf(createWebhook.webhook.id)}`,
      shows: /needs the scope|Messages/u,
    },
  };
  return { all, otherProject };
}

const addressOf = (id: string) => encodeURIComponent(id);

async function runOf(server: TestServer, name: string, dataset: string, more: object = {}) {
  const input = { name, baseModel: "bytes", dataset, hyperparameters: { steps: 100 }, ...more };
  const { createFineTune } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
  return createFineTune.fineTune.id;
}

/** With a checkpoint, which has an alias. */
async function endedRun(server: TestServer, dataset: string, validationDataset: string): Promise<string> {
  const run = await runOf(server, "ended", dataset, {
    validationDataset,
    labelWords: [" good", " bad"],
    hyperparameters: { steps: 100, estimator: "SPSA", learningRate: 1e-6 },
  });
  const worker = await FakeWorker.claim(server.store);
  await worker.train(2);
  await worker.checkpoint();
  await worker.succeed();
  const { fineTune } = await server.ask<{ fineTune: { checkpoints: { nodes: [{ id: string }] } } }>(
    "query ($id: ID!) { fineTune(id: $id) { checkpoints(first: 1) { nodes { id } } } }",
    { id: run },
  );
  const alias = 'mutation ($id: ID!) { setAlias(name: "live", model: { checkpoint: $id }) { name } }';
  await server.ask(alias, { id: fineTune.checkpoints.nodes[0].id });
  return run;
}

/** Of two runs, which wait. */
async function sweepOf(server: TestServer, dataset: string): Promise<string> {
  const query = "mutation ($input: CreateSweepInput!) { createSweep(input: $input) { sweep { id } } }";
  const run = { name: "swept", baseModel: "bytes", dataset, hyperparameters: { steps: 10 } };
  const input = { name: "rates", run, vary: { grid: { seed: [1, 2] } } };
  return (await server.ask<{ createSweep: { sweep: { id: string } } }>(query, { input })).createSweep.sweep.id;
}

/** A folder that is no base model yet, and a download that failed. */
async function modelsOf({ store }: TestServer): Promise<void> {
  const { hash: _, ...seen } = modelRow("folder");
  await store.foundModels.report("gpu-1", [seen]);
  await store.modelDownloads.request({ name: "private", repository: "some/private", revision: "v2" });
  await store.modelDownloads.claim({ worker: "w", leaseMs: 600_000 });
  const message = "The hub does not show some/private without a token.";
  await store.modelDownloads.finish("private", "w", { status: "FAILED", code: "UNAUTHENTICATED", message });
}

/** A key, and in the list of keys one that has ended; from the first one on, the service has keys. */
export async function makeKey(server: TestServer, scopes: readonly Scope[], projectId = defaultProjectId) {
  const lower = scopes.map((scope) => scope.toLowerCase() as Lowercase<Scope>);
  const name = scopes.join(" ");
  return (await server.store.keys.create({ projectId, name, scopes: lower, expiresInS: null })).key;
}

export async function makeEndedKey({ store }: TestServer): Promise<void> {
  const input = { projectId: defaultProjectId, name: "ended key", scopes: ["read"] as const, expiresInS: null };
  const { apiKey } = await store.keys.create({ ...input, scopes: [...input.scopes] });
  await store.keys.revoke(apiKey.id);
}

/** Asks with a key, and throws for what is not GraphQL. */
export async function answerTo(server: TestServer, key: string, body: string) {
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body,
  });
  expect(response.headers.get("content-type")).toMatch(/json/u);
  return (await response.json()) as { errors?: readonly { message: string; extensions: { code: string } }[] };
}
