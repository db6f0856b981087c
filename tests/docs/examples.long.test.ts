/**
 * The examples of the pages work: GraphQL, curl, Python, JavaScript and a web page run in order against a real service with the
 * demo's base, and so do the commands of the first run. As the pages say, $dataset, $fineTune and $checkpoint are the ids returned above, and other
 * variables are in the JSON after an example; JSON with errors is what the example must answer.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClient } from "graphql-ws";
import { buildSchema } from "graphql";
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { packagePath, programPath } from "../../schema/package.ts";
import { testDatabase } from "../support/postgres.ts";
import { scratch } from "../support/models.ts";
import { startSteplog } from "../support/processes.ts";
import { until } from "../process/service.ts";
import type { Block } from "./pages.ts";
import { pages } from "./pages.ts";
import type { WebPages } from "./web-page.ts";
import { serveWebPages } from "./web-page.ts";

const pageUrl = "http://127.0.0.1:4000";
/** Two that start a service, which the test has, and one that needs the hub. */
const leftOut = /npm (?:install|start|run)|steplog model add facebook/u;
const executed = pages.filter(({ name, blocks }) => name === "docs/START.md" || blocks.some(isRequest));

test("there is an example of every field of Query, Mutation and Subscription", () => {
  const schema = buildSchema(readFileSync(packagePath("schema/api.graphql"), "utf8"));
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  // Written as those for datasets are.
  const alike = new Set("shareCheckpoint unshareCheckpoint deleteCheckpoint deleteFineTune deleteDataset".split(" "));
  const fields = roots.flatMap((root) => Object.keys(root?.getFields() ?? {})).filter((field) => !alike.has(field));
  const examples = pages.flatMap(({ blocks }) => blocks.filter(({ language }) => language === "graphql"));
  const missing = fields.filter((field) => !examples.some(({ text }) => new RegExp(`\\b${field}\\b`, "u").test(text)));
  expect(missing).toStrictEqual([]);
});

test("the examples of the pages work", { timeout: 400_000 }, async () => {
  const shared = await startService();
  for (const { name, blocks } of executed) {
    // From the first key on, a service asks every page for one.
    const service = name === "docs/PROJECTS.md" ? await startService() : shared;
    const folder = await pageFolder(service);
    await runPage({ ...service, folder }, blocks).catch((cause: unknown) => {
      throw new Error(`an example of ${name} fails`, { cause });
    });
    if (name === "docs/START.md") await checkSize(folder);
  }
});

/** The page says how long its log is. */
async function checkSize(folder: string): Promise<void> {
  const { size } = await stat(join(folder, "first.steplog"));
  expect(readFileSync(packagePath("docs/START.md"), "utf8")).toContain(`has ${(size / 1000).toFixed(1)} kB`);
}

async function runPage(service: Service, blocks: readonly Block[]): Promise<void> {
  const values: Record<string, string> = {};
  for (const [index, block] of blocks.entries()) {
    const after = jsonOf(blocks[index + 1]);
    if (block.language === "json") await writeNamed(service.folder, block);
    if (block.language === "graphql") {
      const answers = await request(service.url, values["key"], block, {
        ...values,
        ...(after && "errors" in after ? {} : after),
      });
      if (after && "errors" in after) expect(answers).toMatchObject([after]);
      else for (const answer of answers) remember(block.place, answer, values);
    }
    if (block.language === "sh" && !leftOut.test(block.text)) await runShell(service, block, values);
    if (block.language === "js") await runModule(service, block);
    if (block.language === "python") await runPython(service, block);
    if (block.language === "html") await service.webPages.show(block.text.replaceAll(pageUrl, service.url), 40);
  }
}

function isRequest({ language, text }: Block): boolean {
  return ["graphql", "js", "python", "html"].includes(language) || (language === "sh" && text.includes("curl"));
}

interface Service {
  readonly folder: string;
  readonly url: string;
  readonly webPages: WebPages;
}

/** A folder as somebody has it who follows a page: demo/, data/ and rows.jsonl, and the package installed. */
async function pageFolder(service: Service): Promise<string> {
  const folder = await scratch();
  await symlink(packagePath("demo"), join(folder, "demo"));
  await symlink(join(service.folder, "data"), join(folder, "data"));
  await mkdir(join(folder, "node_modules"));
  await symlink(packagePath("."), join(folder, "node_modules", "steplog"));
  await symlink(packagePath("node_modules/openai"), join(folder, "node_modules", "openai"));
  await cp(packagePath("demo/validation.jsonl"), join(folder, "rows.jsonl"));
  return folder;
}

/** A gateway and a worker with the base `demo`, and a model that came after they had started, for the examples that register it. */
async function startService(): Promise<Service> {
  const folder = await scratch();
  const database = await testDatabase();
  onTestFinished(() => database.drop());
  const models = join(folder, "data", "models");
  await cp(packagePath("demo/base"), join(models, "demo"), { recursive: true });
  await cp(packagePath("demo/base"), join(models, "chat"), { recursive: true });
  const turns = "{% for message in messages %}{{ message.content }} {% endfor %}";
  await writeFile(join(models, "chat", "chat_template.jinja"), turns);
  const env = { DATABASE_URL: database.url, STEPLOG_DATA: join(folder, "data"), STEPLOG_LOG_LEVEL: "warn" };
  const webPages = await serveWebPages();
  const forServer = {
    ...env,
    STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost",
    STEPLOG_CORS_ORIGINS: webPages.origin,
  };
  const server = startSteplog(["server", "--port", "0"], forServer);
  const worker = startSteplog(["worker"], env);
  await worker.ready;
  const url = String((await server.ready)["url"]);
  await cp(packagePath("demo/base"), join(models, "opt-125m"), { recursive: true });
  await until("the worker's look into the models folder", 30_000, async () => {
    const answer = await fetch(`${url}/graphql?query={foundModels{name}}`);
    return (await answer.text()).includes("opt-125m");
  });
  return { folder, url, webPages };
}

/** What a query, a mutation or a whole subscription answers. */
async function request(
  url: string,
  key: string | undefined,
  { text }: Block,
  variables: Readonly<Record<string, unknown>>,
) {
  const connectionParams = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const client = createClient({
    url: `${url.replace(/^http/u, "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams,
  });
  try {
    const answers: { errors?: unknown }[] = [];
    for await (const answer of client.iterate({ query: text, variables: { ...variables } })) answers.push(answer);
    return answers;
  } finally {
    await client.dispose();
  }
}

/** Keeps ids under the name of their type, dataset, and URLs under the name of their field, logUrl. */
function remember(place: string, answer: { errors?: unknown }, values: Record<string, string>): void {
  expect({ place, errors: answer.errors }).toStrictEqual({ place, errors: undefined });
  JSON.stringify(answer, (key, value: unknown) => {
    if (typeof value === "string" && key === "id") values[typeOf(value)] = value;
    if (typeof value === "string" && key.endsWith("Url")) values[key] = value;
    return value;
  });
}

function typeOf(id: string): string {
  const type = Buffer.from(id, "base64").toString().split(":")[0] ?? "";
  return `${type.slice(0, 1).toLowerCase()}${type.slice(1)}`;
}

/** Runs the block in a folder beside demo/ and data/, with what was remembered as FINE_TUNE, LOG_URL and so on. */
async function runShell({ folder, url }: Service, block: Block, values: Record<string, string>) {
  const upper = (name: string) => name.replaceAll(/[A-Z]/gu, (letter) => `_${letter}`).toUpperCase();
  const env = Object.fromEntries(Object.entries(values).map(([name, value]) => [upper(name), value]));
  const command = `'${process.execPath}' '${programPath("cli/steplog")}'`;
  const script = block.text.replaceAll(pageUrl, url).replaceAll("npx steplog", command);
  const { stdout } = await promisify(execFile)("sh", ["-ec", script], {
    cwd: folder,
    env: { ...process.env, ...env, STEPLOG_URL: url, ...(values["key"] && { STEPLOG_API_TOKEN: values["key"] }) },
  });
  // The first key that a page makes is the one that it goes on with.
  values["key"] ??= /^steplog_[\w-]{40}$/mu.exec(stdout)?.[0] ?? "";
  if (values["key"] === "") delete values["key"];
  expect({ place: block.place, refused: /^(?:data: )?\{"errors?":/mu.test(stdout) && stdout }).toMatchObject({
    refused: false,
  });
}

/** Runs the block as a program that has installed the package. */
async function runModule({ folder, url }: Service, block: Block): Promise<void> {
  await writeFile(join(folder, "example.mjs"), block.text.replaceAll(pageUrl, url));
  await promisify(execFile)(process.execPath, ["example.mjs"], { cwd: folder });
}

/**
 * Runs the block with the Python of this machine: it may import nothing that Python does not bring, besides transformers, which
 * STEPLOG_PYTHON may have. Without them, what comes before their import has done its work.
 */
async function runPython({ folder, url }: Service, block: Block): Promise<void> {
  await writeFile(join(folder, "example.py"), block.text.replaceAll(pageUrl, url));
  const python = process.env["STEPLOG_PYTHON"] ?? "python3";
  const run = promisify(execFile)(python, ["-I", "example.py"], { cwd: folder });
  if (!block.text.includes("from transformers import")) return void (await run);
  const { stdout, stderr } = await run.catch((error: unknown) => error as { stdout: string; stderr: string });
  if (stderr.includes("No module named 'transformers'"))
    expect(await readdir(join(folder, "tuned"))).toContain("config.json");
  else
    expect({ stdout, stderr }).toMatchObject({
      stdout: expect.stringMatching(/^The soup was stale. It was \w+\n$/u) as unknown,
    });
}

/** "Save this as `first.json`": the file that the prose before the block names last. */
async function writeNamed(folder: string, { prose, text }: Block): Promise<void> {
  const name = [...prose.matchAll(/`([\w-]+\.json)`/gu)].at(-1)?.[1];
  if (name !== undefined) await writeFile(join(folder, name), text);
}

function jsonOf(block: Block | undefined): object | null {
  return block?.language === "json" ? (JSON.parse(block.text) as object) : null;
}
