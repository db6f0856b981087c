/** A project with one of everything that has an id, for the tests of what another project's key finds of it. */
import { expect } from "vitest";
import { defaultProjectId, scopes } from "../../schema/projects.ts";
import type { FineTune } from "../../schema/tables.ts";
import { createFineTune, FakeWorker, type GraphQLAnswer, globalId, rowId, type TestServer } from "./harness.ts";

interface Owner {
  readonly projectId: string;
  /** With a key of the project. */
  readonly ask: TestServer["ask"];
}

/** Ids by type; of evaluations also one of a base itself. Left out, the project is the default one, and there are no keys yet. */
export async function everything(
  server: TestServer,
  { projectId, ask }: Owner = { projectId: defaultProjectId, ask: server.ask },
): Promise<Record<string, string>> {
  const { store } = server;
  const fineTune = await createFineTune({ ask });
  const worker = await FakeWorker.claim(store);
  await worker.train(2);
  const checkpoint = await worker.checkpoint();
  await worker.succeed();
  const run = (await store.fineTunes.get(rowId(fineTune))) ?? expect.unreachable("it was created");
  const { administration, webhooks, audit } = store.of({ projectId, scopes: new Set(scopes), key: null });
  const { apiKey } = await administration.createKey({ name: "theirs", scopes: ["read"], expiresInS: null });
  const webhook = await webhooks.create({ url: "https://example.com/", description: "", events: [] });
  const delivery = await webhooks.test(webhook.id);
  const [entry] = await audit.list({ limit: 1, projectId });
  return {
    FineTune: fineTune,
    Sweep: globalId("Sweep", await sweepOf(server, run)),
    Checkpoint: globalId("Checkpoint", checkpoint.id),
    Dataset: globalId("Dataset", run.datasetId),
    ModelEvaluation: globalId("ModelEvaluation", await evaluationOf(server, run, checkpoint.id)),
    "ModelEvaluation of a base": globalId("ModelEvaluation", await evaluationOf(server, run, null)),
    ApiKey: globalId("ApiKey", apiKey.id),
    Project: globalId("Project", projectId),
    Webhook: globalId("Webhook", webhook.id),
    WebhookDelivery: globalId("WebhookDelivery", delivery.id),
    AuditEntry: globalId("AuditEntry", entry?.id ?? expect.unreachable("the key was written down")),
  };
}

/** It has ended, as what follows has: the next job to claim is that of the next run. */
async function sweepOf({ store }: TestServer, run: FineTune): Promise<string> {
  const { projectId, baseModelId, datasetId, hyperparameters } = run;
  const input = { idempotencyKey: null, name: "swept", validationDatasetId: null, testDatasetId: null, labelWords: [] };
  const runs = [{ ...input, baseModelId, datasetId, hyperparameters }];
  const { sweep } = await store.sweeps.create({ projectId, idempotencyKey: null, name: "sweep", varied: [], runs });
  await store.sweeps.cancel(sweep.id);
  return sweep.id;
}

async function evaluationOf({ store }: TestServer, run: FineTune, checkpointId: string | null): Promise<string> {
  const { projectId, baseModelId, datasetId } = run;
  const { evaluation } = await store.evaluations.create({
    projectId,
    baseModelId,
    checkpointId,
    idempotencyKey: null,
    datasetId,
    labelWords: [],
    calibrationPrompt: null,
    settings: { precision: "FLOAT32" } as never,
  });
  await store.evaluations.cancel(evaluation.id);
  return evaluation.id;
}

/** Asks with a key. Throws if the answer has errors. */
export function askAs(server: TestServer, key: string): TestServer["ask"] {
  return async <T>(query: string, variables?: object) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as GraphQLAnswer<T>;
    return data && !errors ? data : expect.unreachable(JSON.stringify(errors));
  };
}

/** An answer without the id that was asked for, as it was given and as errors quote it, and what differs from request to request. */
export function withoutIds(text: string, id: string): string {
  return text
    .replaceAll(id, "ID")
    .replaceAll(rowId(id), "ROW")
    .replaceAll(/"cost":\{[^}]*\}/gu, "");
}
