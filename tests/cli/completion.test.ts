/** Completion of the command line: the words, and the scripts in the shells that this machine has. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { completionsOf } from "../../cli/completion/complete.ts";
import { namesOfService } from "../../cli/completion/service-names.ts";
import { type scripts, tabArgument } from "../../cli/completion/scripts.ts";
import { build } from "../../cli/main.ts";
import { shortId } from "../../cli/short-ids.ts";
import { programPath } from "../../schema/package.ts";
import { createDataset, createFineTune, testServer, type TestServer } from "../server/harness.ts";
import { scratch } from "../support/models.ts";
import { inTerminal } from "../support/terminal.ts";

let server: TestServer;
let run: string;
beforeAll(async () => {
  server = await testServer();
  run = await createFineTune(server, {}, "film reviews");
  for (const name of ["twins", "twins", "tickets: all weights"]) await createFineTune(server, {}, name);
  const dataset = await createDataset(server, "support tickets");
  const evaluate =
    "mutation ($input: CreateEvaluationInput!) { createEvaluation(input: $input) { evaluation { id } } }";
  await server.ask(evaluate, { input: { model: { name: "bytes" }, dataset } });
  await server.ask('mutation { setAlias(name: "live", model: { name: "bytes" }) { name } }');
}, 60_000);
afterAll(() => server.dispose());

describe("words", () => {
  const complete = async (...words: string[]) =>
    completionsOf(await build(() => true), words, async (kind, url) => [{ value: `${kind}-of-${url}`, meaning: "" }]);
  const valuesAt = async (...words: string[]) => (await complete(...words)).candidates.map(({ value }) => value);

  test.each([
    [["wat"], ["watch"]],
    [
      ["alias", ""],
      ["set", "list", "back", "remove", "help"],
    ],
    [["watch", "--js"], ["--json"]],
    [["watch", "--hel"], ["--help"]],
    [["tune", "--url", "http://x", "--dry"], ["--dry-run"]],
    [["ls", "check"], ["checkpoints"]],
    [
      ["ls", "--sort", "s"],
      ["score", "steps"],
    ],
    [
      ["ls", "--sort=s"],
      ["--sort=score", "--sort=steps"],
    ],
    // As bash splits it.
    [
      ["ls", "--sort", "=", "s"],
      ["score", "steps"],
    ],
    [
      ["ls", "--sort", "="],
      ["created", "finished", "loss", "name", "score", "steps"],
    ],
    [["ls", "--status", "running", "que"], ["queued"]],
    [["watch", "run"], ["run-of-undefined"]],
    [["watch", "--url", "U", "run"], ["run-of-U"]],
    [["watch", "one", "r"], []],
    [["ls", "checkpoints", ""], ["run-of-undefined"]],
    [["ls", "exports", ""], ["run-of-undefined"]],
    [["ls", "evaluations", ""], ["run-of-undefined"]],
    [["ls", "webhooks", ""], []],
    [
      ["ls", "e"],
      ["exports", "evaluations"],
    ],
    [["ls", "models", ""], []],
    [["delete", "dataset", ""], ["dataset-of-undefined"]],
    [["expire", "checkpoint", ""], ["checkpoint-of-undefined"]],
    [["delete", "sweep", ""], ["sweep-of-undefined"]],
    [["delete", "evaluation", ""], ["evaluation-of-undefined"]],
    [["sweeps", "cancel", ""], ["sweep-of-undefined"]],
    [["webhooks", "test", ""], ["webhook-of-undefined"]],
    [
      ["webhooks", "create", "http://x", "--event", "alias."],
      ["alias.set", "alias.removed"],
    ],
    [["chat", "--model", ""], ["model-of-undefined"]],
    [["evaluate", "m", "--dataset", ""], ["dataset-of-undefined"]],
    [
      ["completion", ""],
      ["bash", "zsh", "fish"],
    ],
  ])("%j may go on with %j", async (words, values) => {
    expect(await valuesAt(...words)).toEqual(values);
  });

  test("are files where a definition says so", async () => {
    const files = async (...words: string[]) => (await complete(...words)).files;
    expect(await files("log", "")).toBe(true);
    expect(await files("reconstruct", "--base", "")).toBe(true);
    expect(await files("evaluate", "m", "--dataset", "")).toBe(true);
    expect(await files("watch", "")).toBe(false);
    expect(await files("ls", "")).toBe(false);
  });
});

describe("names", () => {
  const valuesOf = async (kind: Parameters<typeof namesOfService>[0]) =>
    (await namesOfService(kind, server.url)).map(({ value }) => value);

  test("are those that one thing alone has, and short ids", async () => {
    const runs = await valuesOf("run");
    expect(runs).toContain("film reviews");
    expect(runs).toContain(shortId(run));
    expect(runs).not.toContain("twins");
    expect(await valuesOf("model")).toEqual(expect.arrayContaining(["live", "bytes", "film reviews"]));
    expect(await valuesOf("dataset")).toContain("support tickets");
    expect(await valuesOf("alias")).toEqual(["live"]);
    expect(await valuesOf("checkpoint")).toEqual([]);
    expect(await valuesOf("evaluation")).toEqual([expect.stringMatching(/^[0-9a-f]{8}$/u)]);
  });

  test("are none of a service that does not answer", async () => {
    expect(await namesOfService("run", "http://127.0.0.1:9")).toEqual([]);
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    expect(await namesOfService("run", `http://127.0.0.1:${port}`)).toEqual([]);
    silent.close();
  });

  test("are asked for with the key of the environment", async () => {
    const guarded = await server.another({ apiToken: "right" });
    expect(await namesOfService("alias", guarded.url)).toEqual([]);
    vi.stubEnv("STEPLOG_API_TOKEN", "right");
    expect((await namesOfService("alias", guarded.url)).map(({ value }) => value)).toEqual(["live"]);
    vi.unstubAllEnvs();
    await guarded.close();
  });
});

/** A folder with a command `steplog` that completes as ours does, and otherwise only writes down with what it was called. */
async function folderOfSteplog(): Promise<string> {
  const folder = await scratch();
  const path = join(folder, "steplog");
  const ours = `exec "${process.execPath}" "${programPath("cli/steplog")}" "$@"`;
  const script = `case $1 in ${tabArgument} | completion) ${ours} ;; *) printf '%s|' "$@" >> "${folder}/called" ;; esac`;
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return folder;
}

const shells = {
  bash: "bash --norc --noprofile -i",
  zsh: "zsh -f -i",
  fish: "fish --no-config -i",
} as const satisfies Readonly<Record<keyof typeof scripts, string>>;

/** Null, or why the shell is not tried here. */
function lackingHere(name: string): string | null {
  if (process.platform !== "linux") return "terminals of this kind are Linux's";
  return spawnSync(name, ["--version"]).status === 0 ? null : `there is no ${name} on this machine`;
}

test.for(Object.entries(shells))(
  "%s completes commands, options, choices and names",
  { timeout: 60_000 },
  async ([name, start], { skip }) => {
    const lacking = lackingHere(name);
    // CI installs all of them.
    if (lacking !== null && process.env["CI"] !== "true") skip(lacking);
    const folder = await folderOfSteplog();
    const env = { PATH: `${folder}:${process.env["PATH"]}`, STEPLOG_URL: server.url };
    const terminal = await inTerminal(start, { env });
    terminal.type(name === "fish" ? "steplog completion fish | source\r" : `source <(steplog completion ${name})\r`);
    // A name with a colon, a word that is still empty, a file.
    const file = join(folder, "some-run.steplog");
    await writeFile(file, "");
    const more = ["show tick\t", "alias remove \t", `log ${join(folder, "some-r")}\t`];
    const lines = ["wat\t", "ls --arch\t--sort cre\t", "show fil\t", `show ${shortId(run).slice(0, 6)}\t`, ...more];
    for (const line of lines) terminal.type(`steplog ${line}\r`);
    const called = () => readFile(join(folder, "called"), "utf8").catch(() => "");
    const first = `watch|ls|--archived|--sort|created|show|film reviews|show|${shortId(run)}|`;
    const wanted = `${first}show|tickets: all weights|alias|remove|live|log|${file}|`;
    await expect.poll(called, { timeout: 30_000 }).toBe(wanted);
  },
);
