/** Every list comes in pages, printed and cut in one manner; and names that are near are hinted at. Runs in this process. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, expect, test } from "vitest";
import { build } from "../../cli/main.ts";
import { SteplogClient } from "../../client/index.ts";
import { FakeWorker, modelRow, testServer, type TestServer } from "../server/harness.ts";
import { steplogHere } from "../support/command.ts";

let server: TestServer;
let folder: string;
let run: string;
let webhookUrl: string;
beforeAll(async () => {
  server = await testServer({ allowPrivateWebhooks: ["localhost"], apiToken: "right" });
  folder = await mkdtemp(join(tmpdir(), "steplog-test-"));
  const { store } = server;
  const names = ["alpha", "beta", "gamma"];
  for (const name of names) {
    const { id: projectId } = await store.projects.create(name);
    await store.keys.create({ name: `key ${name}`, projectId, scopes: ["read"], expiresInS: null });
    await store.baseModels.register(modelRow(`model-${name}`));
    await command("alias", "set", `alias-${name}`, "--model", "bytes");
    await command("keys", "create", "--name", `key-${name}`, "--scopes", "read");
    await dataset(name);
    run = await fineTune(`run-${name}`);
    const sweep = { name: `sweep-${name}`, run: { baseModel: "bytes", dataset: { id: await dataset(`of ${name}`) } } };
    await writeFile(join(folder, "sweep.json"), JSON.stringify({ ...sweep, vary: { grid: { seed: [1, 2] } } }));
    expect(await command("sweeps", "create", join(folder, "sweep.json"))).toMatchObject({ code: 0 });
    const client = clientOf();
    await client.createEvaluation({ model: { name: "bytes" }, dataset: await dataset(`evaluated ${name}`) });
    await client.query(`mutation { createWebhook(input: { url: "http://localhost:9/${name}" }) { webhook { id } } }`);
  }
  await measuredRun();
  const [webhook] = (await listed("ls", "webhooks", "--all"))["webhooks"] as { id: string; url: string }[];
  webhookUrl = webhook?.url ?? "";
  for (const _ of names) await clientOf().query(`mutation { testWebhook(id: "${webhook?.id}") { id } }`);
}, 120_000);
afterAll(async () => {
  await server.dispose();
  await rm(folder, { recursive: true });
});

/** The oldest run, with three checkpoints, of each of which weights are made in another form. */
async function measuredRun(): Promise<void> {
  const worker = await FakeWorker.claim(server.store);
  for (let step = 0; step < 3; step++) {
    await worker.train(1);
    await worker.checkpoint();
  }
  const checkpoints = (await listed("ls", "checkpoints", "run-alpha", "--all"))["checkpoints"] as { id: string }[];
  for (const { id } of checkpoints)
    await clientOf().query(`mutation { materialiseCheckpoint(id: "${id}", dtype: FLOAT16) { id } }`);
}

const listed = async (...args: string[]) => JSON.parse((await command(...args, "--json")).stdout) as Page;

const clientOf = () => new SteplogClient({ url: server.url, token: "right" });

async function fineTune(name: string): Promise<string> {
  const input = { name, baseModel: "bytes", dataset: await dataset(`rows of ${name}`) };
  return (await clientOf().createFineTune({ ...input, hyperparameters: { steps: 3 } })).id;
}

async function dataset(name: string): Promise<string> {
  return (await clientOf().createDataset({ name, rows: [{ prompt: "a", completion: " b" }] })).id;
}

const atService = { DATABASE_URL: "", STEPLOG_API_TOKEN: "right" };
const command = async (...args: string[]) => steplogHere([...args, "--url", server.url], atService);

const lists: readonly (readonly [args: string, noun: string])[] = [
  ["ls runs", "runs"],
  ["ls datasets", "datasets"],
  ["ls models", "models"],
  ["ls evaluations", "evaluations"],
  ["ls webhooks", "webhooks"],
  ["ls checkpoints run-alpha", "checkpoints"],
  ["ls exports run-alpha", "exports"],
  ["webhooks ls", "webhooks"],
  ["webhooks deliveries WEBHOOK", "deliveries"],
  ["sweeps ls", "sweeps"],
  ["alias list", "aliases"],
  ["keys list", "keys"],
  ["projects list", "projects"],
];
const ofDatabase = new Set(["keys list", "projects list"]);

interface Page {
  readonly next: string | null;
  readonly [noun: string]: unknown;
}

test.each([
  ...lists.map(([args, noun]) => ({ args, noun, where: "the service" })),
  ...lists.filter(([args]) => ofDatabase.has(args)).map(([args, noun]) => ({ args, noun, where: "the database" })),
])("$args of $where continues by the line it prints, and by the cursor in its JSON", async ({ args, noun, where }) => {
  const env = where === "the service" ? atService : { ...atService, DATABASE_URL: server.databaseUrl };
  const list = async (...more: string[]) =>
    steplogHere(
      [
        ...args.replace("WEBHOOK", webhookUrl).split(" "),
        ...more,
        ...(where === "the service" ? ["--url", server.url] : []),
      ],
      env,
    );
  const json = async (...more: string[]) => JSON.parse((await list(...more, "--json")).stdout) as Page;
  const rowsOf = (page: Page) => (page[noun] as { id: string }[]).map((row) => (noun === "deliveries" ? row.id : row));
  const all = await json("--all");
  const rows = rowsOf(all);
  expect(rows.length).toBeGreaterThan(2);
  expect(all.next).toBeNull();
  // Names are the only cursors of aliases, and nobody counts these.
  const total = noun === "aliases" ? undefined : rows.length;
  expect(all["totalCount"]).toBe(total);

  const first = await json("--limit", "2");
  expect(rowsOf(first)).toEqual(rows.slice(0, 2));
  const rest = await json("--limit", "1", "--after", first.next ?? "");
  expect(rowsOf(rest)).toEqual(rows.slice(2, 3));

  const printed = (await list("--limit", "2")).stdout;
  const [, of, after = ""] =
    /\n2 (?:of (\d+) )?\w+\. The next ones: the same with --after (\S+)\. All of them: --all\n$/u.exec(printed) ?? [];
  expect(of).toBe(total === undefined ? undefined : String(total));
  expect(rowsOf(await json("--limit", "1", "--after", after))).toEqual(rows.slice(2, 3));
  expect((await list("--all")).stdout).not.toContain("The next ones");
});

const leaves = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
const wordsOf = (command: Command): string[] => (command.parent ? [...wordsOf(command.parent), command.name()] : []);

test("every command that lists page by page is among these", async () => {
  const paging = leaves(await build(() => true)).filter(({ options }) =>
    options.some(({ long }) => long === "--after"),
  );
  const names = paging.flatMap((command) => {
    const [kinds] = command.registeredArguments.map(({ argChoices }) => argChoices);
    const path = wordsOf(command).join(" ");
    return (kinds ?? [""]).map((kind) => `${path} ${kind}`.trim());
  });
  expect(names.length).toBeGreaterThan(10);
  const known = (name: string) => name === "audit" || lists.some(([args]) => `${args} `.startsWith(`${name} `));
  expect(names.filter((name) => !known(name))).toEqual([]);
});

test.each(["the service", "the database"])("audit of %s continues from the cursor of a line", async (where) => {
  const env = where === "the service" ? atService : { ...atService, DATABASE_URL: server.databaseUrl };
  const lines = async (...more: string[]) => {
    const { stdout } = await steplogHere(["audit", "--json", "--url", server.url, ...more], env);
    return stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { cursor: string });
  };
  const all = await lines("--all");
  expect(all.length).toBeGreaterThan(5);
  const two = await lines("--limit", "2");
  expect(two).toEqual(all.slice(0, 2));
  expect(await lines("--limit", "3", "--after", two[1]?.cursor ?? "")).toEqual(all.slice(2, 5));
});

const short = () => {
  const [, uuid = ""] = Buffer.from(run, "base64").toString().split(":");
  return uuid.slice(0, 8);
};
const oneOff = (hex: string) => `${hex.slice(0, 7)}${hex.endsWith("0") ? "1" : "0"}`;

test.each([
  ["a run", () => ["show", "run-alfa"], 'Did you mean "run-alpha"?'],
  ["a run's short id", () => ["show", oneOff(short())], () => `Did you mean "${short()}"?`],
  ["a dataset", () => ["delete", "dataset", "alpa", "--yes"], 'Did you mean "alpha"?'],
  ["a sweep", () => ["sweeps", "show", "sweep-betta"], 'Did you mean "sweep-beta"?'],
  ["a model to be asked", () => ["complete", "--model", "alias-gama", "--prompt", "a"], 'Did you mean "alias-gamma"?'],
  ["a base model after which a list goes on", () => ["ls", "models", "--after", "model-alph"], '"model-alpha"?'],
  ["an alias", () => ["alias", "remove", "alais-beta"], 'Did you mean "alias-beta"?'],
  ["an alias to go back", () => ["alias", "back", "alias-bet"], 'Did you mean "alias-beta"?'],
  ["a project", () => ["keys", "list", "--project", "gama"], 'Did you mean "gamma"?'],
  ["a key", () => ["keys", "revoke", "key-alfa"], 'Did you mean "key-alpha"?'],
  ["an action", () => ["audit", "--action", "key.create"], 'Did you mean "key.created"?'],
  ["a setting", () => ["fork", "run-alpha", "--set", "learning-rate=1"], 'Did you mean "learningRate"?'],
  ["a status", () => ["ls", "--status", "runing"], 'Did you mean "running"?'],
  ["a scope", () => ["keys", "create", "--name", "a", "--scopes", "reed"], 'Did you mean "read"?'],
  ["a preset", () => ["dataset", "rows", "--preset", "SST3", "--out", folder], 'Did you mean "SST2"?'],
  ["a kind of list", () => ["ls", "dataset"], 'Did you mean "datasets"?'],
] as const)("%s that is mistyped is hinted at", async (_, args, hint) => {
  const { code, stderr, stdout } = await command(...args(), "--json");
  expect(code).toBeGreaterThan(1);
  expect(stderr.replaceAll("\\", "")).toContain(typeof hint === "string" ? hint : hint());
  expect(stdout).toContain("Did you mean");
});

test.each([
  [{ baseModel: "byts" }, /There is no base model "byts"\. Did you mean "bytes"\?/u],
  [{ hyperparameters: { learningrat: 1 } }, /learningrat.*is not a hyperparameter\. Did you mean "learningRate"\?/u],
  [{ hyperparameters: { estimator: "SPSAA" } }, /it is "SPSAA"\. Did you mean "SPSA"\?/u],
  [{ validationDatset: "rows.jsonl" }, /Did you mean "validationDataset"\?/u],
])("a settings file with %j is hinted at", async (changes, words) => {
  const file = join(folder, "run.json");
  await writeFile(join(folder, "rows.jsonl"), '{"prompt": "a", "completion": " b"}\n');
  await writeFile(file, JSON.stringify({ baseModel: "bytes", dataset: "rows.jsonl", ...changes }));
  const { code, stderr } = await command("tune", file);
  expect(code).toBe(3);
  expect(stderr).toMatch(words);
});

/** Names of the default project; base models are everybody's. */
const ours = /Did you mean|(?:run|sweep|alias|key)-(?:alpha|beta|gamma)\b|(?<!-)\b(?:alpha|beta|gamma)\b/u;

test("names of other projects are not hinted at", async () => {
  const another = await server.store.projects.create("another");
  const { key } = await server.store.keys.create({
    name: "theirs",
    projectId: another.id,
    scopes: ["read", "write", "train", "admin"],
    expiresInS: null,
  });
  const theirs = async (...args: string[]) =>
    steplogHere([...args, "--url", server.url], { DATABASE_URL: "", STEPLOG_API_TOKEN: key });
  for (const args of [
    ["show", "run-alfa"],
    ["delete", "dataset", "alpa", "--yes"],
    ["sweeps", "show", "sweep-betta"],
    ["complete", "--model", "alias-gama", "--prompt", "a"],
    ["alias", "remove", "alais-beta"],
    ["keys", "revoke", "key-alfa"],
    ["keys", "list", "--project", "gama"],
  ]) {
    const { code, stderr } = await theirs(...args);
    expect({ args, code }).toEqual({ args, code: 3 });
    expect(stderr).not.toMatch(ours);
  }
});
