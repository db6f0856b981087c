/** Every command line that the page copies is one that the command itself understands. */
import { execFileSync } from "node:child_process";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { build } from "../../cli/main.ts";
import { settingsOf } from "../../cli/commands/fork.ts";
import { commands, lineOf, type Words } from "../../dashboard/src/parts/commands.ts";

const url = "http://127.0.0.1:4000/steplog";
const key = { start: "steplog_Ab12Cd", project: { name: "my reviews" } };
const hyperparameters = { learningRate: 1e-6, steps: 7, loraTargets: ["q_proj", "v_proj"], precision: "BFLOAT16" };
const measuring = {
  dataset: "rows",
  labelWords: [" good", "-1"],
  answerTokens: 4,
  truncate: "START",
  precision: "FLOAT32",
  calibrationPrompt: "-",
};

/** What each is copied with, and what is to arrive at the command: its arguments, then its options. */
const cases: { readonly [Name in keyof typeof commands]: readonly [Words, Words, Readonly<Record<string, unknown>>] } =
  {
    pause: [commands.pause("id"), ["id"], {}],
    resume: [commands.resume("id"), ["id"], {}],
    cancel: [commands.cancel("id"), ["id"], {}],
    archive: [commands.archive("id", false), ["id"], { unarchive: true }],
    update: [
      commands.update("id", { name: "-a b'c", tags: ["-x", "y"] }),
      ["id"],
      { name: "-a b'c", tag: ["-x", "y"] },
    ],
    tag: [
      commands.tag("id", { add: ["-x", "y z"], remove: ["--old"] }),
      ["id"],
      { addTag: ["-x", "y z"], removeTag: ["--old"] },
    ],
    deleteRun: [commands.deleteRun("id"), ["run", "id"], { cancel: true, yes: true }],
    continueRun: [commands.continueRun("id", { steps: 5, maxSeconds: 0 }), ["id"], { steps: 5, maxSeconds: 0 }],
    fork: [
      commands.fork("id", 4, { name: "next", hyperparameters }),
      ["id"],
      {
        at: 4,
        name: "next",
        set: ["learningRate=0.000001", "steps=7", "loraTargets=q_proj,v_proj", "precision=BFLOAT16"],
      },
    ],
    deleteCheckpoint: [commands.deleteCheckpoint("id"), ["checkpoint", "id"], { yes: true }],
    rebuild: [commands.rebuild("id", { merged: true, dtype: "BFLOAT16" }), ["id"], { merged: true, dtype: "bfloat16" }],
    cancelSweep: [commands.cancelSweep("id"), ["id"], {}],
    deleteSweep: [commands.deleteSweep("id", { runs: true }), ["sweep", "id"], { runs: true, yes: true }],
    evaluate: [commands.evaluate("id", measuring), ["id"], measuring],
    setAlias: [commands.setAlias("-live", "id"), ["-live"], { model: "id" }],
    rollBackAlias: [commands.rollBackAlias("live"), ["live"], {}],
    removeAlias: [commands.removeAlias("live"), ["live"], {}],
    deleteDataset: [commands.deleteDataset("id"), ["dataset", "id"], { yes: true }],
    expireDataset: [
      commands.expireDataset("id", { at: "2030-01-31T12:00:00.000Z" }),
      ["dataset", "id", "2030-01-31T12:00:00.000Z"],
      {},
    ],
    createProject: [commands.createProject("-mine"), ["-mine"], {}],
    renameProject: [commands.renameProject("mine", "yours $HOME"), ["mine", "yours $HOME"], {}],
    eraseProject: [commands.eraseProject("mine", "mine"), ["mine"], { confirm: "mine" }],
    keepOfProject: [
      commands.keepOfProject("mine", { fineTunes: 86_400, weights: 0, datasets: null }),
      [],
      { project: "mine", keep: { FINE_TUNE: 86_400, WEIGHTS: 0, DATASET: null } },
    ],
    quotasOfProject: [
      commands.quotasOfProject("mine", { stepsAMonth: 1_000, bytes: null }),
      [],
      { project: "mine", quota: { stepsAMonth: 1_000, bytes: null } },
    ],
    createWebhook: [
      commands.createWebhook({
        url: "http://a/b?c=1&d",
        description: "-team",
        events: ["alias.set", "dataset.created"],
      }),
      ["http://a/b?c=1&d"],
      { description: "-team", event: ["alias.set", "dataset.created"] },
    ],
    changeWebhook: [
      commands.changeWebhook("id", { url: "http://a", description: "", events: [] }),
      ["id"],
      { address: "http://a", description: "", allEvents: true },
    ],
    enableWebhook: [commands.enableWebhook("id", false), ["id"], { disable: true }],
    testWebhook: [commands.testWebhook("id"), ["id"], {}],
    replayWebhook: [
      commands.replayWebhook("id", { since: "2026-01-31T12:00:00.000Z" }),
      ["id"],
      { since: new Date("2026-01-31T12:00:00Z") },
    ],
    renewWebhookSecret: [commands.renewWebhookSecret("id"), ["id"], {}],
    deleteWebhook: [commands.deleteWebhook("id"), ["id"], { yes: true }],
    createKey: [
      commands.createKey({ name: "-ci b", scopes: ["TRAIN", "READ"], expiresInDays: 7.5 }, "my reviews"),
      [],
      { name: "-ci b", scopes: ["read", "train"], project: "my reviews", expires: 7.5 },
    ],
    renameKey: [commands.renameKey(key, "-ci"), [key.start, "-ci"], { project: "my reviews" }],
    rotateKey: [commands.rotateKey(key, 3_600), [key.start], { project: "my reviews", overlap: 3_600 }],
    revokeKey: [commands.revokeKey(key), [key.start], { project: "my reviews" }],
    deleteKey: [commands.deleteKey(key), [key.start], { project: "my reviews" }],
  };

describe("a command line that is copied", () => {
  test.each(Object.entries(cases))("%s is understood", async (_name, [words, args, options]) => {
    const read = await readBy(wordsIn(lineOf(words, url)));
    expect(read.args).toEqual(args);
    expect(read.options).toMatchObject({ url, ...options });
  });

  test("names settings of a fork that can be read back", () => {
    const [, , { set }] = cases.fork;
    expect(settingsOf(set as string[])).toEqual(hyperparameters);
  });

  test("that is wrong fails here", async () => {
    await expect(readBy(["pause", "id", "--no-such-option"])).rejects.toThrow("unknown option");
  });
});

/** As a shell hands them over, without "npx steplog". */
function wordsIn(line: string): string[] {
  const script = `npx() { shift; printf '%s\\0' "$@"; }\n${line}`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1);
}

async function readBy(words: readonly string[]) {
  const program = await build((name) => words.slice(0, name.split(" ").length).join(" ") === name);
  let read: { args: string[]; options: object } | null = null;
  for (const command of leavesOf(program)) {
    command.configureOutput({ writeErr: () => undefined });
    command.action(() => {
      read = { args: command.args, options: command.opts() };
    });
  }
  await program.parseAsync([...words], { from: "user" });
  if (read === null) throw new Error(`no command takes ${words.join(" ")}`);
  return read as { args: string[]; options: object };
}

const leavesOf = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
