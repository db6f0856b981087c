/** Whatever a function in the sandbox does, the call ends with a typed error, and the next one is answered. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Limits, Task } from "../../sandbox/messages.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";

let folder: string;
let file: string;
const sandbox = new Sandbox();

/** As a module would be compiled. `reporter.begin` and `progress` are what tells the sandbox where it is. */
const functions = `
import { setTimeout as delay } from "node:timers/promises";
export const echo = async (input) => input;
export const pid = async () => process.pid;
export const env = async () => Object.keys(process.env);
export const forever = async () => { for (;;); };
export const backtrack = async () => /^(a+)+$/.test("a".repeat(60) + "!");
export const busy = async ({ ms }, { progress }) => {
  const end = performance.now() + ms;
  for (let line = 1; performance.now() < end; line++) progress(line);
};
export const wait = async ({ ms }) => { await delay(ms); return process.pid; };
export const objects = async () => { const kept = []; for (;;) kept.push({ kept: kept.length }); };
export const oneArray = async () => new Array(2 ** 26).fill(0.5);
export const buffers = async () => { const kept = []; for (;;) kept.push(new Uint8Array(2 ** 26).fill(1)); };
export const deep = async () => { const down = (n) => down(n + 1) + 1; return down(0); };
export const exits = async () => process.exit(0);
export const kills = async () => process.kill(process.pid, "SIGKILL");
export const unhandled = async () => { setTimeout(() => { throw new Error("later"); }); await delay(1_000); };
export const begins = async (_, { begin }) => { begin({ code: "MODEL_INVALID", doing: "Loading the tokenizer" }); throw new TypeError("x is not a function"); };
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "steplog-sandbox-"));
  file = join(folder, "functions.mjs");
  await writeFile(file, functions);
});

afterAll(async () => {
  sandbox.close();
  await rm(folder, { recursive: true, force: true });
});

/** For what exceeds the memory, also on a busy machine. */
const slow = { stalledMs: 15_000, totalMs: 15_000 };
const small: Limits = { heapMb: 24, memoryMb: 192, stalledMs: 700, totalMs: 1_500 };

function call(name: string, input: unknown = null, more: { limits?: Limits; signal?: AbortSignal; on?: Sandbox } = {}) {
  const { limits = small, signal, on = sandbox } = more;
  const blame = { code: "DATASET_INVALID", doing: "Reading rows.parquet" } as const;
  return on.run<Task>({ file, name, input: input as never, limits, blame, signal });
}

test("input and output are copied as they are, and the process is used again without the environment", async () => {
  const input = { big: 2n ** 40n, bytes: new Uint8Array([1, 2]), none: undefined, nan: Number.NaN };
  expect(await call("echo", input)).toStrictEqual(input);
  expect(await call("pid")).toBe(await call("pid"));
  expect(await call("pid")).not.toBe(process.pid);
  expect(await call("env")).toStrictEqual([]);
});

describe("a limit", () => {
  // Each starts a process, so they run at the same time.
  test.concurrent.each([
    ["forever", /nothing happened for 0\.\d s/u],
    ["backtrack", /nothing happened for 0\.\d s/u],
    ["objects", /memory/u],
    ["oneArray", /memory/u],
    ["buffers", /memory/u],
    ["deep", /Maximum call stack/u],
    ["exits", /its thread ended/u],
    ["kills", /its process ended/u],
    ["unhandled", /later/u],
  ])("ends %s with the code of the caller", async (name, message) => {
    const error = { code: "DATASET_INVALID", message: expect.stringMatching(message) as unknown };
    const limits = !/nothing/u.test(message.source) ? { ...small, ...slow } : small;
    await expect(call(name, null, { limits })).rejects.toMatchObject(error);
    expect(await call("echo", name)).toBe(name);
  });

  test("on time in all counts even with progress, and names the line", async () => {
    await expect(call("busy", { ms: 5_000 })).rejects.toThrow(
      /^Reading rows\.parquet was given up after line \d+: it takes longer than 1\.5 s\.$/u,
    );
  });

  test("on time without progress does not end what goes on", async () => {
    expect(await call("busy", { ms: 1_000 })).toBeUndefined();
  });

  test("blames what the function was doing", async () => {
    const error = { code: "MODEL_INVALID", message: "Loading the tokenizer failed: x is not a function." };
    await expect(call("begins")).rejects.toMatchObject(error);
  });
});

describe("a call ends", () => {
  const patient: Limits = { ...small, ...slow };
  const isAlive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  test("when its client leaves, running or waiting", async () => {
    const one = new Sandbox({ places: 1 });
    const pid = (await call("pid", null, { on: one })) as number;
    const leaving = new AbortController();
    const running = call("forever", null, { limits: patient, signal: leaving.signal, on: one });
    const waiting = call("echo", 1, { signal: leaving.signal, on: one });
    const both = Promise.allSettled([running, waiting]);
    const next = call("echo", 2, { on: one });
    leaving.abort();
    const left = { status: "rejected", reason: expect.objectContaining({ code: "UNAVAILABLE" }) as unknown };
    expect(await both).toMatchObject([left, left]);
    expect(await next).toBe(2);
    await expect.poll(() => isAlive(pid)).toBe(false);
    one.close();
  });

  test("with its process when the sandbox is closed, and later calls are refused", async () => {
    const one = new Sandbox({ places: 1 });
    const pid = (await call("pid", null, { on: one })) as number;
    const running = call("forever", null, { limits: patient, on: one });
    await Promise.resolve();
    one.close();
    await expect(running).rejects.toMatchObject({ code: "UNAVAILABLE", message: "Steplog is stopping." });
    await expect(call("echo", 1, { on: one })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect.poll(() => isAlive(pid)).toBe(false);
  });
});

test("large calls leave a place to small ones", async () => {
  const two = new Sandbox({ places: 2 });
  const leaving = new AbortController();
  const large = { ...small, ...slow, heapMb: 1_024 };
  const endless = [1, 2].map(() => call("forever", null, { limits: large, signal: leaving.signal, on: two }));
  expect(await call("echo", "small", { on: two })).toBe("small");
  leaving.abort();
  expect((await Promise.allSettled(endless)).map(({ status }) => status)).toStrictEqual(["rejected", "rejected"]);
  two.close();
});
