/** Every command prints with --json nothing but JSON, whatever goes wrong, and says what to try. Runs in this process. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Command, InvalidArgumentError, type Option } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build } from "../../cli/main.ts";
import { SteplogClient } from "../../client/index.ts";
import { FakeWorker, rows, testServer, type TestServer } from "../server/harness.ts";
import { steplogHere } from "../support/command.ts";
import { scratch } from "../support/models.ts";

/** These print no result: services until they are stopped, a story, and a script. */
const without = new Set(["start", "server", "worker", "demo", "completion"]);

const leaves = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
const program = await build(() => true);
const commands = leaves(program).map((command) => ({ path: wordsOf(command), command }));
const withJson = commands.filter(({ path }) => !without.has(path.join(" ")));
const asked = withJson.filter(({ command }) => command.options.some(({ long }) => long === "--url"));

function wordsOf(command: Command): string[] {
  return command.parent ? [...wordsOf(command.parent), command.name()] : [];
}

/** What a command needs beyond what `requiredBy` finds. */
const more: Readonly<Record<string, readonly string[]>> = {
  complete: ["--prompt", "a"],
  update: ["--name", "b"],
  "projects set": ["--keep", "datasets=30d"],
  "webhooks change": ["--enable"],
  "webhooks replay": ["--message", "msg_1"],
};

/** Values for what must be given. Files are there, and ids are of nothing. */
function requiredBy(command: Command, folder: string): string[] {
  const valueOf = (flags: string, choices?: readonly string[]) => {
    if (choices?.[0] !== undefined) return choices[0];
    if (/json/u.test(flags)) return join(folder, command.parent?.name() === "sweeps" ? "sweep.json" : "run.json");
    if (/dataset/u.test(flags)) return join(folder, "rows.jsonl");
    if (/scopes/u.test(flags)) return "read";
    if (/keep/u.test(flags)) return "datasets=30d";
    if (/when/u.test(flags)) return "30d";
    if (/number/u.test(flags)) return "1";
    if (/--(?:to|out)|<path>/u.test(flags)) return join(folder, "out", command.name());
    return "ffffffffff";
  };
  return [
    ...command.registeredArguments
      .filter(({ required, variadic }) => required && !variadic)
      .map((one) => valueOf(`<${one.name()}>`, one.argChoices)),
    ...command.options
      .filter(({ mandatory }) => mandatory)
      .flatMap((one) => [one.long ?? "", valueOf(one.flags, one.argChoices)]),
    ...(more[wordsOf(command).join(" ")] ?? []),
  ];
}

let server: TestServer;
let folder: string;
beforeAll(async () => {
  server = await testServer({ apiToken: "right" });
}, 60_000);
afterAll(() => server.dispose());

/** The only thing on stdout. */
function errorOf(stdout: string): { code: string; message: string; issues: unknown[] } {
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string; issues: unknown[] } };
  expect(Object.keys(error)).toEqual(["code", "message", "issues"]);
  return error;
}

const env = { DATABASE_URL: "", STEPLOG_API_TOKEN: "right" };

test("every command that prints a result has --json, and --quiet with it", () => {
  const lacking = withJson.filter(({ command }) =>
    ["--json", "--quiet"].some((long) => !command.options.some((option) => option.long === long)),
  );
  expect(lacking.map(({ path }) => path.join(" "))).toEqual([]);
  expect(withJson.length).toBeGreaterThan(40);
});

test.each(withJson)("$path prints one JSON object for a typo", async ({ path, command }) => {
  await prepare();
  const { code, stdout, stderr } = await steplogHere([...path, ...requiredBy(command, folder), "--jsn", "--json"], env);
  expect(code).toBe(2);
  expect(errorOf(stdout)).toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringMatching(/unknown option '--jsn'\s+\(Did you mean --json\?\)/u) as string,
  });
  expect(stderr).toContain("--help describes the usage");
});

const nonsense = "@";
const checked = withJson.filter(({ command }) => command.options.some(refusesNonsense));

test.each(checked)("$path prints one JSON object for a value that is none", async ({ path, command }) => {
  await prepare();
  for (const { long } of command.options.filter(refusesNonsense)) {
    const args = [...path, ...requiredBy(command, folder), long ?? "", nonsense, "--json"];
    const { code, stdout } = await steplogHere(args, env);
    expect({ long, ...errorOf(stdout) }).toMatchObject({
      long,
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining(long ?? "") as string,
    });
    expect({ long, code }).toEqual({ long, code: 2 });
  }
});

/** Whether commander asks a parser of ours about the value, or knows all values. */
function refusesNonsense({ parseArg }: Option): boolean {
  try {
    parseArg?.(nonsense, undefined);
    return false;
  } catch (error) {
    return error instanceof InvalidArgumentError;
  }
}

test("every option that takes a number refuses what is none", () => {
  const numbers = /<(?:number|seconds|megabytes|tokens|share|days)>/u;
  const lax = withJson.flatMap(({ path, command }) =>
    command.options
      .filter((option) => numbers.test(option.flags) && !refusesNonsense(option))
      .map(({ flags }) => `${path.join(" ")} ${flags}`),
  );
  expect(lax).toEqual([]);
  expect(checked.length).toBeGreaterThan(15);
});

async function prepare(): Promise<void> {
  folder = await scratch();
  await mkdir(join(folder, "out"));
  await writeFile(join(folder, "rows.jsonl"), rows(3));
  await writeFile(join(folder, "run.json"), JSON.stringify({ baseModel: "bytes", dataset: "rows.jsonl" }));
  await writeFile(
    join(folder, "sweep.json"),
    JSON.stringify({ run: { baseModel: "bytes", dataset: "rows.jsonl" }, vary: { grid: { seed: [1, 2] } } }),
  );
}

describe.each(asked)("$path", ({ path, command }) => {
  const run = async (url: string, more: Readonly<Record<string, string>> = {}) => {
    await prepare();
    return steplogHere([...path, ...requiredBy(command, folder), "--json", "--url", url], {
      ...env,
      HF_TOKEN: "",
      HF_TOKEN_PATH: "/dev/null",
      ...more,
    });
  };

  test("prints one JSON object where no service answers, or the key is wrong", async ({ skip }) => {
    if (path[0] === "doctor") skip("it tells of a service that does not answer as one of its checks");
    if (path.join(" ") === "model push") skip("it asks the hub first: tests/cli/push.test.ts");
    const gone = errorOf((await run("http://127.0.0.1:9")).stdout);
    expect(gone.code).toBe("UNAVAILABLE");
    expect(gone.message).toMatch(
      /does not answer.*To start one on this machine: steplog start\. To use another: --url/u,
    );
    const wrong = errorOf((await run(server.url, { STEPLOG_API_TOKEN: "wrong" })).stdout);
    expect(wrong.code).toBe("UNAUTHENTICATED");
    expect(wrong.message).toMatch(/refused what STEPLOG_API_TOKEN holds\. Set it to an API key/u);
  });
});

const byRun = asked.filter(({ command }) =>
  command.registeredArguments.some((one) => /^the (?:finished )?run/u.test(one.description)),
);

test.each(byRun)("$path of no run says how to list them", async ({ path, command }) => {
  await prepare();
  const { code, stdout } = await steplogHere(
    [...path, ...requiredBy(command, folder), "--json", "--url", server.url],
    env,
  );
  expect(code).toBe(3);
  expect(errorOf(stdout)).toMatchObject({
    code: "NOT_FOUND",
    message: expect.stringMatching(/"ffffffffff"\. List them: steplog ls$/u) as string,
  });
});

/** Of what is no run. Some ask whether it is meant before they look: --yes says so. */
const byName = asked.filter(
  ({ path, command }) =>
    path.join(" ") !== "model push" &&
    command.registeredArguments.some((one) =>
      /^the (?:sweep|checkpoint|webhook|key|project|alias$)|^(?:its id|name of the model)/u.test(one.description),
    ),
);

test.each(byName)("$path of nothing says so", async ({ path, command }) => {
  await prepare();
  const yes = command.options.some(({ long }) => long === "--yes") ? ["--yes"] : [];
  const args = [...path, ...requiredBy(command, folder), ...yes, "--json", "--url", server.url];
  const { code, stdout } = await steplogHere(args, env);
  expect(errorOf(stdout)).toMatchObject({
    code: "NOT_FOUND",
    message: expect.stringContaining("ffffffffff") as string,
  });
  expect(code).toBe(3);
});

test("there are such commands", () => {
  expect(byName.length).toBeGreaterThan(10);
  expect(asked.length).toBeGreaterThan(25);
  expect(byRun.length).toBeGreaterThan(8);
});

test.each([
  [["wach"], /Did you mean watch\?/u],
  [["keys", "creat"], /Did you mean create\?/u],
  [["ls", "--limt", "3"], /Did you mean --limit\?/u],
  [["ls", "--status", "runing"], /Allowed choices are .*running/u],
])("%j says what was meant", async (args, words) => {
  const { code, stdout, stderr } = await steplogHere([...args, "--json"], env);
  expect({ code, error: errorOf(stdout).code }).toEqual({ code: 2, error: "INVALID_ARGUMENT" });
  expect(stderr).toMatch(words);
});

test("--quiet takes off how far a command is, and nothing else", async () => {
  const client = new SteplogClient({ url: server.url, token: "right" });
  const dataset = await client.createDataset({ name: "rows", rows: [{ prompt: "a", completion: " b" }] });
  const input = { name: "told", baseModel: "bytes", dataset: dataset.id, hyperparameters: { steps: 5 } };
  const { id } = await client.createFineTune(input);
  const worker = await FakeWorker.claim(server.store);
  await worker.train(5);
  await worker.succeed();
  const follow = async (...more: string[]) => steplogHere(["follow", id, "--url", server.url, ...more], env);
  const usual = await follow();
  expect(usual.stderr).toMatch(/^step 1\/5 /u);
  expect(await follow("--quiet")).toEqual({ ...usual, stderr: "" });
});
