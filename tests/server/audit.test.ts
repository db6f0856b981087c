/** The audit log: every mutation is written down or named here with the reason why it is not. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { operator } from "../../schema/projects.ts";
import { schema } from "../../server/graphql/schema.ts";
import { requestOf } from "../store/serving-fixtures.ts";
import { createDataset, createFineTune, FakeWorker, globalId, rowId, type TestServer, testServer } from "./harness.ts";

const whatAudited = {
  createProject: "project.created",
  renameProject: "project.renamed",
  setProjectQuotas: "project.quotas_changed",
  setRateLimits: "project.rates_changed",
  createApiKey: "key.created",
  renameApiKey: "key.renamed",
  rotateApiKey: "key.rotated",
  revokeApiKey: "key.revoked",
  deleteApiKey: "key.deleted",
  shareDataset: "dataset.shared",
  unshareDataset: "dataset.unshared",
  shareCheckpoint: "checkpoint.shared",
  unshareCheckpoint: "checkpoint.unshared",
  createWebhook: "webhook.created",
  updateWebhook: "webhook.updated",
  rotateWebhookSecret: "webhook.secret_rotated",
  deleteWebhook: "webhook.deleted",
  removeAlias: "alias.removed",
  setExpiry: "fine_tune.expiry_set",
  setProjectKeep: "project.keep_changed",
  deleteEvaluation: "evaluation.deleted",
  deleteCompletion: "completion.deleted",
  deleteWeights: "checkpoint.weights_deleted",
  deleteCheckpoint: "checkpoint.deleted",
  deleteFineTune: "fine_tune.deleted",
  deleteSweep: "sweep.deleted",
  deleteDataset: "dataset.deleted",
  deleteBaseModel: "model.deleted",
  eraseProject: "project.erased",
} as const;

const makes = "makes something, which shows when and is deleted with an entry";
const goesOn = "changes how work goes on; the run's events tell";
const whyNot = {
  createFineTune: makes,
  continueFineTune: makes,
  createSweep: makes,
  createDataset: makes,
  createEvaluation: makes,
  createCompletion: makes,
  classify: makes,
  score: makes,
  registerBaseModel: makes,
  addBaseModel: makes,
  cancelModelDownload: goesOn,
  materialiseCheckpoint: makes,
  setAlias: "is told to webhooks, and the alias keeps where it pointed",
  rollBackAlias: "is told to webhooks, and the alias keeps where it pointed",
  cancelFineTune: goesOn,
  cancelSweep: goesOn,
  pauseFineTune: goesOn,
  resumeFineTune: goesOn,
  updateFineTune: "changes labels, which is told to webhooks",
  cancelEvaluation: goesOn,
  cancelCompletion: goesOn,
  testWebhook: "shows in the log of deliveries",
  replayWebhook: "shows in the log of deliveries",
} as const;

let server: TestServer;
let boss: string;
let ids: Record<string, string>;
beforeAll(async () => {
  server = await testServer({ allowPrivateWebhooks: true });
  ids = await everything();
  const scopes = ["read", "write", "train", "infer", "admin"] as const;
  const { administration } = server.store.of(operator);
  ({ key: boss } = await administration.createKey({ name: "boss", scopes, expiresInS: null }));
  await vi.waitFor(
    async () => expect((await fetch(`${server.url}/fine-tunes/x/log.steplog`)).status).toBe(401),
    10_000,
  );
});
afterAll(() => server.dispose());

const size = { parameters: 4, bytes: 16, contextLength: 32 };
const unused = { name: "unused", hash: "ab".repeat(32), family: "opt", dtype: "F32", ...size };

/** A run that has ended, its checkpoint with weights, an evaluation of it, and a request. */
async function everything(): Promise<Record<string, string>> {
  const run = await createFineTune(server, {}, "the run");
  const worker = await FakeWorker.claim(server.store);
  await worker.train(2);
  const checkpoint = await worker.checkpoint();
  await worker.succeed();
  const { store } = server;
  await store.checkpoints.requestWeights(checkpoint.id);
  const row = (await store.fineTunes.get(rowId(run))) ?? expect.unreachable("it was created");
  const { evaluation } = await store.evaluations.create({
    baseModelId: row.baseModelId,
    checkpointId: checkpoint.id,
    idempotencyKey: null,
    datasetId: row.datasetId,
    labelWords: [],
    calibrationPrompt: null,
    settings: { precision: "FLOAT32" } as never,
  });
  const { completion } = await store.completions.create(await requestOf(store));
  const { sweep } = await store.sweeps.create({ idempotencyKey: null, name: "a sweep", varied: [], runs: [] });
  await store.aliases.set("best", { baseModelId: row.baseModelId, checkpointId: checkpoint.id });
  return {
    run,
    sweep: globalId("Sweep", sweep.id),
    checkpoint: globalId("Checkpoint", checkpoint.id),
    evaluation: globalId("ModelEvaluation", evaluation.id),
    completion: globalId("Completion", completion.id),
    dataset: await createDataset(server, "rows to go"),
    model: globalId("BaseModel", (await store.baseModels.register(unused)).id),
  };
}

interface Entry {
  readonly action: string;
  readonly actor: Record<"kind" | "name" | "apiKeyId" | "requestId" | "address", string | null>;
  readonly objectType: string;
  readonly objectId: string | null;
  readonly objectName: string | null;
  readonly details: readonly { name: string; value: string | null }[];
}

async function asking<T>(key: string, query: string, variables: object = {}, requestId = "a-request"): Promise<T> {
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}`, "x-request-id": requestId },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data?: T; errors?: unknown };
  if (!data || errors) throw new Error(`${query}: ${JSON.stringify(errors)}`);
  return data;
}

const logged = `query ($object: ID, $actor: String, $action: String, $project: ID, $from: DateTime, $until: DateTime, $after: String) {
  auditLog(object: $object, actor: $actor, action: $action, project: $project, from: $from, until: $until, first: 100, after: $after) {
    nodes { at action objectType objectId objectName details { name value } actor { kind name apiKeyId requestId address } }
    pageInfo { endCursor hasNextPage }
  }
}`;

async function entries(filter: object = {}, key = boss): Promise<Entry[]> {
  return (await asking<{ auditLog: { nodes: Entry[] } }>(key, logged, filter)).auditLog.nodes;
}

/** By name, the arguments of each audited mutation, in an order in which they can be made; what an answer tells is remembered. */
const deeds: readonly (readonly [keyof typeof whatAudited, () => string])[] = [
  ["createProject", () => `createProject(name: "reviews") { id }`],
  ["renameProject", () => `renameProject(id: "${ids["createProject"]}", name: "films") { id }`],
  [
    "setProjectQuotas",
    () => `setProjectQuotas(project: "${ids["createProject"]}", quotas: { bytes: 1000000 }) { limit }`,
  ],
  ["setRateLimits", () => `setRateLimits(of: { project: "${ids["createProject"]}" }, limits: { files: 90 }) { limit }`],
  ["setProjectKeep", () => `setProjectKeep(project: "${ids["createProject"]}", keep: { weights: 86400 }) { weights }`],
  ["setExpiry", () => `setExpiry(id: "${ids["run"]}", expiry: { ttl: 86400 }) { expiresAt }`],
  ["createApiKey", () => `createApiKey(input: { name: "ci", scopes: [READ] }) { apiKey { id } }`],
  ["renameApiKey", () => `renameApiKey(id: "${ids["createApiKey"]}", name: "nightly") { id }`],
  ["rotateApiKey", () => `rotateApiKey(id: "${ids["createApiKey"]}", overlapSeconds: 60) { apiKey { id } }`],
  ["revokeApiKey", () => `revokeApiKey(id: "${ids["createApiKey"]}") { id }`],
  ["deleteApiKey", () => `deleteApiKey(id: "${ids["createApiKey"]}")`],
  ["shareDataset", () => `shareDataset(id: "${ids["dataset"]}", project: "${ids["createProject"]}") { id }`],
  ["unshareDataset", () => `unshareDataset(id: "${ids["dataset"]}", project: "${ids["createProject"]}") { id }`],
  ["shareCheckpoint", () => `shareCheckpoint(id: "${ids["checkpoint"]}", project: "${ids["createProject"]}") { id }`],
  [
    "unshareCheckpoint",
    () => `unshareCheckpoint(id: "${ids["checkpoint"]}", project: "${ids["createProject"]}") { id }`,
  ],
  [
    "createWebhook",
    () =>
      `createWebhook(input: { url: "http://127.0.0.1:9/hooks?token=hidden", description: "team" }) { webhook { id } }`,
  ],
  [
    "updateWebhook",
    () => `updateWebhook(id: "${ids["createWebhook"]}", input: { enabled: false, events: ["dataset.deleted"] }) { id }`,
  ],
  ["rotateWebhookSecret", () => `rotateWebhookSecret(id: "${ids["createWebhook"]}") { webhook { id } }`],
  ["deleteWebhook", () => `deleteWebhook(id: "${ids["createWebhook"]}")`],
  ["removeAlias", () => `removeAlias(name: "best")`],
  ["deleteEvaluation", () => `deleteEvaluation(id: "${ids["evaluation"]}")`],
  ["deleteCompletion", () => `deleteCompletion(id: "${ids["completion"]}")`],
  ["deleteWeights", () => `deleteWeights(id: "${ids["checkpoint"]}") { id }`],
  ["deleteCheckpoint", () => `deleteCheckpoint(id: "${ids["checkpoint"]}")`],
  ["deleteFineTune", () => `deleteFineTune(id: "${ids["run"]}")`],
  ["deleteSweep", () => `deleteSweep(id: "${ids["sweep"]}")`],
  ["deleteDataset", () => `deleteDataset(id: "${ids["dataset"]}")`],
  ["deleteBaseModel", () => `deleteBaseModel(id: "${ids["model"]}")`],
  ["eraseProject", () => `eraseProject(id: "${ids["createProject"]}", name: "films") { fineTunes files }`],
];

/** The id in an answer, wherever it is. */
function idIn(answer: object): string | undefined {
  return /"id":"([^"]+)"/u.exec(JSON.stringify(answer))?.[1];
}

describe("the audit log", () => {
  test("has a decision about every mutation", () => {
    const all = Object.keys(schema.getMutationType()?.getFields() ?? {}).toSorted();
    const decided = [...Object.keys(whatAudited), ...Object.keys(whyNot)];
    expect(decided.toSorted()).toEqual(all);
    expect(deeds.map(([name]) => name).toSorted()).toEqual(Object.keys(whatAudited).toSorted());
  });

  test("has one entry of each that is audited, with the key, the request and the address, and without secrets", async () => {
    for (const [name, deed] of deeds) {
      const before = (await entries()).length;
      const answer = await asking<Record<string, object>>(boss, `mutation { ${deed()} }`, {}, `req-${name}`);
      ids[name] ??= idIn(answer) ?? "";
      const all = await entries();
      // Erasing has an entry for its beginning too.
      expect([name, all.length - before]).toEqual([name, name === "eraseProject" ? 2 : 1]);
      expect(all[0]).toMatchObject({
        action: whatAudited[name],
        actor: {
          kind: "KEY",
          name: "boss",
          requestId: `req-${name}`,
          address: expect.stringMatching(/127\.0\.0\.1$/u) as string,
        },
      });
    }
    const text = JSON.stringify(await entries());
    expect(text).not.toMatch(/hidden|whsec_|steplog_[\w-]{20}/u);
    const one = async (action: string) => (await entries({ action }))[0];
    expect(await one("fine_tune.deleted")).toMatchObject({
      objectType: "FineTune",
      objectId: ids["run"],
      objectName: "the run",
    });
    expect(await one("completion.deleted")).toMatchObject({
      objectType: "Completion",
      objectId: ids["completion"],
      objectName: null,
      details: [{ name: "status", value: "QUEUED" }],
    });
    expect(await one("key.deleted")).toMatchObject({ objectId: ids["createApiKey"], objectName: "nightly" });
    expect(await one("webhook.updated")).toMatchObject({
      details: [
        { name: "host", value: "127.0.0.1:9" },
        { name: "fields", value: "enabled,events" },
      ],
    });
  });

  test("has none of what was refused or changed nothing", async () => {
    const before = (await entries()).length;
    for (const again of ["deleteFineTune", "deleteDataset", "deleteWebhook", "deleteApiKey", "unshareDataset"]) {
      const deed = deeds.find(([name]) => name === again)?.[1]() ?? "";
      await asking(boss, `mutation { ${deed} }`).catch(() => {});
    }
    await asking(boss, `mutation { createProject(name: "default") { id } }`).catch(() => {});
    expect(await entries()).toHaveLength(before);
  });

  test("is found by object, actor, action, time and page", async () => {
    expect((await entries({ object: ids["createApiKey"] })).map(({ action }) => action)).toEqual([
      "key.deleted",
      "key.revoked",
      "key.rotated",
      "key.renamed",
      "key.created",
    ]);
    expect(await entries({ actor: "nobody" })).toEqual([]);
    expect((await entries({ actor: "operator" })).map(({ action }) => action)).toEqual(["key.created"]);
    const all = await entries();
    expect(await entries({ actor: "boss" })).toHaveLength(deeds.length + 1);
    const [first, second] = [all.at(-1), all.at(-2)] as unknown as { at: string }[];
    // The clock of the database has microseconds, an answer milliseconds.
    expect((await entries({ from: new Date(Date.parse(second?.at ?? "") + 1).toISOString() })).length).toBeLessThan(
      all.length,
    );
    expect(await entries({ until: first?.at })).toEqual([]);
    const paged =
      "query ($after: String) { auditLog(first: 5, after: $after) { nodes { action } pageInfo { endCursor } } }";
    const seen: string[] = [];
    for (let after: string | null = null; ;) {
      const { auditLog }: { auditLog: { nodes: { action: string }[]; pageInfo: { endCursor: string | null } } } =
        await asking(boss, paged, { after });
      if (auditLog.nodes.length === 0) break;
      seen.push(...auditLog.nodes.map(({ action }) => action));
      after = auditLog.pageInfo.endCursor;
    }
    expect(seen).toEqual(all.map(({ action }) => action));
    await expect(entries({ action: "no.such" })).rejects.toThrow("no.such");
  });

  test("of a project is read by its admin, and by no other", async () => {
    const { administration } = server.store.of(operator);
    const project = await administration.createProject("others");
    const make = (scopes: readonly ("admin" | "read")[]) =>
      administration.createKey({ name: "theirs", scopes, expiresInS: null, projectId: project.id });
    const [admin, reader] = [(await make(["admin"])).key, (await make(["read"])).key];
    const theirs = await entries({}, admin);
    expect(theirs.map(({ action }) => action)).toEqual(["key.created", "key.created", "project.created"]);
    expect(await entries({ project: globalId("Project", project.id) })).toEqual(theirs);
    await expect(entries({ project: ids["createProject"] }, admin)).rejects.toThrow("NOT_FOUND");
    await expect(entries({}, reader)).rejects.toThrow("FORBIDDEN");
  });
});
