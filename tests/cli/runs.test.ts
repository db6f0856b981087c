/** Runs on the command line: listed, shown, and called by short ids and names. Runs in this process, with a fake worker. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { settingsOf } from "../../cli/commands/fork.ts";
import { partsOf, shortId } from "../../cli/short-ids.ts";
import { coloursOf, cutTo, widthOf } from "../../cli/terminal.ts";
import {
  createDataset,
  createFineTune,
  FakeWorker,
  globalId,
  rowId,
  testServer,
  type TestServer,
} from "../server/harness.ts";
import { steplogHere } from "../support/command.ts";

let server: TestServer;
/** Trained, with a checkpoint. */
let done: string;
let checkpoint: string;
let waiting: string;

beforeAll(async () => {
  server = await testServer();
  done = await createFineTune(server, { steps: 20, learningRate: 1e-5, batchSize: 4 }, "reviews");
  const worker = await FakeWorker.claim(server.store);
  await worker.train(20);
  checkpoint = (await worker.checkpoint()).id;
  await worker.succeed();
  waiting = await createFineTune(server, {}, "twins");
  await createFineTune(server, {}, "twins");
}, 60_000);
afterAll(() => server.dispose());

const steplog = (...args: string[]) => steplogHere([...args, "--url", server.url]);
const lines = (text: string) => text.trimEnd().split("\n");

describe("steplog ls", () => {
  test("prints a table of runs, the newest first", async () => {
    const { code, stdout } = await steplog("ls");
    const [headings, ...rows] = lines(stdout);
    expect({ code, headings }).toEqual({
      code: 0,
      headings: "ID        NAME     MODEL  STATUS     STEPS       LEFT         LOSS    BEST",
    });
    expect(rows).toHaveLength(3);
    expect(rows[2]).toMatch(new RegExp(`^${shortId(done)}  reviews  bytes  SUCCEEDED  20/20 100%  -`, "u"));
  });

  test("filters, sorts and pages", async () => {
    const names = async (...args: string[]) => {
      const { stdout } = await steplog("ls", "--json", ...args);
      return (JSON.parse(stdout) as { runs: { name: string }[] }).runs.map(({ name }) => name);
    };
    expect(await names("--status", "succeeded", "failed")).toEqual(["reviews"]);
    for (const text of ["VIEW", shortId(done), done]) expect(await names("--search", text)).toEqual(["reviews"]);
    expect(await names("--model", "none")).toEqual([]);
    expect(await names("--sort", "name")).toEqual(["reviews", "twins", "twins"]);
    expect(await names("--sort", "name", "--reverse")).toEqual(["twins", "twins", "reviews"]);
    const { stdout } = await steplog("ls", "--limit", "2");
    const last = lines(stdout)[2]?.slice(0, 8) ?? "";
    expect(stdout).toContain(`2 of 3 runs. The next ones: the same with --after ${last}. All of them: --all`);
    expect(await names("--limit", "2", "--after", last)).toEqual(["reviews"]);
    expect(await names("--limit", "1", "--all")).toEqual(["twins", "twins", "reviews"]);
  });

  test("lists datasets, models and the checkpoints of a run", async () => {
    expect((await steplog("ls", "datasets")).stdout).toMatch(/^ID {8}NAME {2}ROWS .*\n[0-9a-f]{8} {2}rows {2}3 /u);
    expect((await steplog("ls", "models")).stdout).toMatch(/bytes {2}llama {3}5\.0 B/u);
    expect((await steplog("ls", "checkpoints", "reviews")).stdout).toContain(`${checkpoint.slice(0, 8)}  20 `);
    expect((await steplog("ls", "checkpoints")).stderr).toContain("Name the run: steplog ls checkpoints RUN");
    expect((await steplog("ls", "exports")).stderr).toContain("Name the run: steplog ls exports RUN");
    expect((await steplog("ls", "webhooks", "reviews")).stderr).toContain('"reviews" is one argument too many');
    expect((await steplog("ls", "models", "--tag", "x")).stderr).toContain("--tag are for runs only");
  });
});

describe("steplog ls", () => {
  test("finds runs by what is noted on them, also with an equals sign in it", async () => {
    const metadata = [
      { key: "ticket", value: "42" },
      { key: "sum", value: "1+1=2" },
    ];
    const update =
      "mutation ($id: ID!, $input: UpdateFineTuneInput!) { updateFineTune(id: $id, input: $input) { id } }";
    await server.ask(update, { id: done, input: { metadata } });
    const found = async (...notes: string[]) => {
      const { stdout } = await steplog("ls", "--json", "--metadata", ...notes);
      return (JSON.parse(stdout) as { runs: { name: string }[] }).runs.map(({ name }) => name);
    };
    expect(await found("ticket=42", "sum=1+1=2")).toEqual(["reviews"]);
    expect(await found("ticket=43")).toEqual([]);
    expect((await steplog("ls", "--metadata", "ticket")).stderr).toContain("Give a key and a value: ticket=42");
  });

  test("lists exports of a run with the latest checkpoint first, and evaluations of its checkpoints", async () => {
    const { store } = server;
    const forms = [
      { merged: false, dtype: "float16" },
      { merged: false, dtype: "bfloat16" },
    ] as const;
    for (const form of forms) await store.exports.request(checkpoint, form);
    const json = async (...args: string[]) =>
      JSON.parse((await steplog("ls", ...args, "--json")).stdout) as {
        next: string | null;
        totalCount: number;
        exports: { form: string; step: number; status: string }[];
        evaluations: { id: string; checkpoint: { step: number } }[];
      };
    const both = await json("exports", "reviews");
    expect(both).toMatchObject({ totalCount: 2, next: null });
    expect(both.exports.map(({ form, step, status }) => [form, step, status])).toEqual([
      ["float16", 20, "QUEUED"],
      ["bfloat16", 20, "QUEUED"],
    ]);
    const { stdout } = await steplog("ls", "exports", "reviews", "--limit", "1");
    const cursor = `${checkpoint.slice(0, 8)}/float16`;
    expect(stdout).toContain(`1 of 2 exports. The next ones: the same with --after ${cursor}.`);
    for (const after of [cursor, (await json("exports", "reviews", "--limit", "1")).next ?? ""])
      expect((await json("exports", "reviews", "--after", after)).exports).toEqual(both.exports.slice(1));
    const wrong = await steplog("ls", "exports", "reviews", "--after", "none/float16");
    expect(wrong.stderr).toContain('--after "none/float16" is not in this list');

    const evaluate = `mutation ($input: CreateEvaluationInput!) { createEvaluation(input: $input) { evaluation { id } } }`;
    const dataset = await createDataset(server);
    for (const model of [{ name: "bytes" }, { checkpoint: globalId("Checkpoint", checkpoint) }])
      await server.ask(evaluate, { input: { model, dataset } });
    expect((await json("evaluations")).totalCount).toBe(2);
    const ofRun = await json("evaluations", "reviews");
    expect(ofRun.evaluations.map((one) => one.checkpoint.step)).toEqual([20]);
    expect((await steplog("ls", "evaluations")).stdout).toMatch(
      /^ID .*\n[0-9a-f]{8} {2}[0-9a-f]{8} \(step 20\) +rows +QUEUED/u,
    );
  });
});

describe("steplog show", () => {
  test("prints state, settings that differ, checkpoints and events", async () => {
    const { code, stdout } = await steplog("show", "reviews");
    expect(code).toBe(0);
    for (const words of [
      `reviews  ${shortId(done)}`,
      "SUCCEEDED   step 20/20 100%",
      "learningRate 0.00001",
      "batchSize  4",
    ])
      expect(stdout).toContain(words);
    expect(stdout).toContain(`${checkpoint.slice(0, 8)}  step     20`);
    expect(stdout).not.toContain("weightDecay");
    expect(stdout).toMatch(/Last events\n(?: {2}\d{4}-\d\d-\d\d \d\d:\d\d {2}.*\n)+$/u);
  });

  test("prints the run as JSON", async () => {
    expect(JSON.parse((await steplog("show", shortId(done), "--json")).stdout)).toMatchObject({ id: done });
  });
});

describe("a run is called", () => {
  test.each([
    ["its id", () => done],
    ["its UUID", () => rowId(done)],
    ["the first 8 digits of it", () => shortId(done)],
    ["the first 5 in upper case", () => rowId(done).slice(0, 5).toUpperCase()],
    ["its name", () => "reviews"],
  ])("by %s", async (_, given) => {
    expect(JSON.parse((await steplog("follow", given(), "--json")).stdout)).toMatchObject({ id: done });
  });

  test("by nothing that several have: they are listed, and nothing happens", async () => {
    const { code, stderr } = await steplog("cancel", "twins");
    expect(code).toBe(3);
    expect(stderr).toMatch(/^INVALID_ARGUMENT: "twins" may be several\. Give more of its id:\n/u);
    expect(lines(stderr).slice(1)).toEqual([
      expect.stringMatching(/^ {2}[0-9a-f]{8} {2}twins {2}QUEUED {2}of /u),
      expect.stringContaining(`  ${shortId(waiting)}  twins`),
    ]);
  });

  test("by nothing that none has, and by no id of something else", async () => {
    expect((await steplog("pause", "nobody")).stderr).toContain(
      'NOT_FOUND: There is no run whose id begins with, or that is named, "nobody". List them: steplog ls',
    );
    const dataset = Buffer.from(`Dataset:${rowId(done)}`).toString("base64");
    expect((await steplog("pause", dataset)).stderr).toContain("is the id of a dataset, and this needs one of a run");
  });

  test("by a short id to be paused, resumed and cancelled", async () => {
    const short = shortId(waiting);
    for (const [word, status] of [
      ["pause", "PAUSED"],
      ["resume", "QUEUED"],
      ["cancel", "CANCELLED"],
    ] as const)
      expect(JSON.parse((await steplog(word, short, "--json")).stdout)).toMatchObject({ id: waiting, status });
  });
});

describe("steplog update", () => {
  test("changes what is named, and nothing else", async () => {
    const { stdout } = await steplog("update", "reviews", "--tag", "films", "short", "--priority", "5");
    expect(stdout).toBe(`reviews (${shortId(done)}): tags films, short, priority 5.\n`);
    const tagged = await steplog("update", "reviews", "--add-tag", "new", "--remove-tag", "films", "none");
    expect(tagged.stdout).toContain("tags short, new, priority");
    const archived = await steplog("update", shortId(done), "--archive", "--json");
    expect(JSON.parse(archived.stdout)).toMatchObject({
      tags: ["short", "new"],
      archivedAt: expect.any(String) as string,
    });
    expect((await steplog("ls")).stdout).not.toContain("reviews");
    expect((await steplog("ls", "--archived")).stdout).toContain("reviews");
    expect((await steplog("update", shortId(done), "--unarchive")).stdout).toMatch(/priority 5\.\n$/u);
    expect((await steplog("update", shortId(done))).stderr).toContain("Say what to change");
  });
});

describe("steplog expire", () => {
  const inDays = (at: string) => Math.round((Date.parse(at) - Date.now()) / 86_400_000);

  test("sets and clears when something ends by itself", async () => {
    const { stdout } = await steplog("expire", "run", "reviews", "30d", "--json");
    const { expiresAt } = JSON.parse(stdout) as { expiresAt: string };
    expect(inDays(expiresAt)).toBe(30);
    expect((await steplog("show", "reviews")).stdout).toContain(`  ends       ${expiresAt.slice(0, 10)} `);
    expect((await steplog("expire", "run", shortId(done), "never")).stdout).toBe(
      `The run ${shortId(done)} stays until somebody deletes it.\n`,
    );
    expect((await steplog("show", "reviews")).stdout).not.toContain("  ends  ");
    const dataset = await createDataset(server, "passing");
    expect((await steplog("expire", "dataset", "passing", "2030-01-31T12:30:00Z")).stdout).toBe(
      `The dataset ${shortId(dataset)} ends at 2030-01-31 12:30 UTC.\n`,
    );
    expect((await steplog("expire", "checkpoint", checkpoint.slice(0, 8), "12h")).stdout).toContain(" ends at 20");
    await steplog("expire", "checkpoint", checkpoint.slice(0, 8), "never");
  });

  test("of a run is also what update sets, beside other things or alone", async () => {
    const { stdout } = await steplog("update", "reviews", "--expires", "2030-01-31");
    expect(stdout).toMatch(/^reviews .*, ends: 2030-01-31 00:00\.\n$/u);
    const both = await steplog("update", "reviews", "--expires", "never", "--priority", "5", "--json");
    expect(JSON.parse(both.stdout)).toMatchObject({ priority: 5, expiresAt: null });
  });

  test.each(["30", "0d", "4000d", "soon", "2026-13-45", "never ever"])(
    "refuses %j, with what is right",
    async (when) => {
      const { code, stderr } = await steplog("update", "reviews", "--expires", when);
      expect(code).toBe(2);
      expect(stderr).toMatch(/Give (?:30d|a time)/u);
    },
  );
});

describe("steplog fork", () => {
  test("creates a run from the last checkpoint that differs in what is set", async () => {
    const forked = steplog("fork", "reviews", "--name", "child", "--set", "steps=30", "--json");
    await vi.waitFor(async () => {
      const [newest] = await server.store.fineTunes.list({ limit: 1 });
      expect(newest?.name).toBe("child");
      await server.store.fineTunes.cancel(newest?.id ?? "");
    }, 10_000);
    const outcome = JSON.parse((await forked).stdout) as { id: string };
    const { stdout } = await steplog("show", outcome.id);
    expect(stdout).toContain(`bytes, from checkpoint ${checkpoint.slice(0, 8)} at step 20`);
    expect(stdout).toMatch(/steps {6}30\n/u);
  });

  test("finds a checkpoint that is older than the newest hundred", async () => {
    const id = await createFineTune(server, { steps: 102 }, "many");
    await server.ask("mutation ($id: ID!) { updateFineTune(id: $id, input: { priority: 100 }) { id } }", { id });
    const worker = await FakeWorker.claim(server.store);
    for (let step = 1; step <= 102; step += 1) {
      await worker.train(1);
      await worker.checkpoint();
    }
    await worker.succeed();
    const { stderr } = await steplog("fork", "many", "--at", "200");
    expect(stderr).toMatch(/There is no checkpoint at step 200\. The nearest are at 102, 101, .*, 83\./u);
    const forked = steplog("fork", "many", "--at", "1", "--name", "early", "--json");
    const early = await vi.waitFor(async () => {
      const [newest] = await server.store.fineTunes.list({ limit: 1 });
      expect(newest?.name).toBe("early");
      return newest?.id ?? "";
    }, 10_000);
    await server.store.fineTunes.cancel(early);
    expect((await steplog("show", (JSON.parse((await forked).stdout) as { id: string }).id)).stdout).toContain(
      "at step 1\n",
    );
    for (const one of [early, rowId(id)]) await server.store.fineTunes.delete(one, { cancel: false });
  });

  test("names the steps that have a checkpoint, and the settings that there are", async () => {
    expect((await steplog("fork", "reviews", "--at", "7")).stderr).toContain("There are some at 20.");
    expect((await steplog("fork", "reviews", "--set", "rate=1")).stderr).toMatch(/names no setting.*learningRate/u);
    expect(settingsOf(["learningRate=1e-6", "method=lora", "tensors=a,b", "linearProbe=true"])).toEqual({
      learningRate: 1e-6,
      method: "LORA",
      tensors: ["a", "b"],
      linearProbe: true,
    });
  });
});

describe("steplog delete", () => {
  test("deletes nothing that nobody agreed to, and names what is in the way", async () => {
    const asked = await steplog("delete", "run", "reviews");
    expect(asked).toMatchObject({ code: 3, stdout: "" });
    expect(asked.stderr).toMatch(
      /^INVALID_ARGUMENT: Delete the run reviews \([0-9a-f]{8}\), with its log.* add --yes/u,
    );
    const used = await steplog("delete", "run", "reviews", "--yes");
    expect(used).toMatchObject({ code: 3, stderr: expect.stringMatching(/^CONFLICT: .*child/u) as string });
  });

  test("deletes what is named", async () => {
    const run = await createFineTune(server, {}, "short-lived");
    expect((await steplog("delete", "run", "short-lived", "--yes")).stdout).toContain("is deleted.");
    expect((await steplog("show", run)).code).toBe(3);
    const dataset = await createDataset(server, "spare");
    const { stdout } = await steplog("delete", "dataset", shortId(dataset), "--yes", "--json");
    expect(JSON.parse(stdout)).toEqual({ deleted: true });
  });
});

test("ids have a type and a UUID, and what is none has neither", () => {
  expect(partsOf(done)).toEqual({ type: "FineTune", uuid: rowId(done) });
  expect(["demo", "4f2a91c0", "", btoa("FineTune:x")].map(partsOf)).toEqual([null, null, null, null]);
});

test("texts are cut by the columns that they take", () => {
  expect(widthOf("\u001b[32mgreen\u001b[39m")).toBe(5);
  expect(widthOf("日本")).toBe(4);
  expect(cutTo("reviews of films", 10)).toBe("reviews...");
  expect(cutTo("reviews", 7)).toBe("reviews");
  expect(widthOf(cutTo("⠒⠒ loss of the training rows   ● validation loss", 40))).toBe(40);
});

test.each([
  [{ isTTY: true }, {}, true],
  [{ isTTY: false }, {}, false],
  [{ isTTY: true }, { NO_COLOR: "1" }, false],
  [{ isTTY: true }, { TERM: "dumb" }, false],
  [{ isTTY: false }, { FORCE_COLOR: "1" }, true],
  [{ isTTY: true }, { FORCE_COLOR: "0" }, false],
  [{ isTTY: false }, { FORCE_COLOR: "1", NO_COLOR: "1" }, false],
])("colours of %j with %j: %s", (stream, env, coloured) => {
  expect(coloursOf(stream as NodeJS.WriteStream, env).green("x") !== "x").toBe(coloured);
});
