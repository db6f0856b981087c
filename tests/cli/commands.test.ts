/**
 * The command line as a user meets it: exit codes, and what a typo gives. A few are real processes; the others call the
 * command in this one, which costs a tenth.
 */
import { readFileSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { trainableTensors } from "../../engine/model/trainable.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { encodeEntries, ruleSeed } from "../../schema/step-log.ts";
import { steplogHere } from "../support/command.ts";
import { golden, randomModel, scratch, tinyConfig } from "../support/models.ts";
import { runSteplog } from "../support/processes.ts";

const opt = golden("hf/opt");
const expected = JSON.parse(readFileSync(`${opt}/expected.json`, "utf8")) as {
  input_ids: number[][];
  labels: number[][];
  greedy: { prompt: number[]; tokens: number[] }[];
  nll: { row: number; nll: number }[];
};

async function writeLog(base: string, path: string, scalars: readonly number[]): Promise<void> {
  const folder = await openModelFolder(base);
  const header = {
    format: 1 as const,
    base: await baseHash(folder),
    trainable: trainableTensors(folder),
    noise: "rademacher" as const,
    seed: 5,
    hyperparameters: {},
  };
  await writeFile(
    path,
    encodeEntries(
      header,
      scalars.map((scalar, k) => ({ seed: ruleSeed(5, k), scalar })),
    ),
  );
}

describe("steplog log", () => {
  test("prints one JSON object", async () => {
    const path = join(await scratch(), "run.steplog");
    await writeLog(opt, path, [0.5, -0.25]);
    const { code, stdout } = await runSteplog(["log", path, "--json"]);
    const log = JSON.parse(stdout) as {
      header: { noise: string; trainable: unknown[] };
      entries: unknown[];
      chain: string;
    };
    expect(code).toBe(0);
    expect(log.header.noise).toBe("rademacher");
    expect(log.header.trainable[0]).toStrictEqual({
      name: "model.decoder.embed_positions.weight",
      shape: [66, 32],
      dtype: "F32",
    });
    expect(log.entries).toStrictEqual([
      { seed: String(5n << 32n), scalar: "3f000000" },
      { seed: String((5n << 32n) + 1n), scalar: "be800000" },
    ]);
    expect(log.chain).toMatch(/^[0-9a-f]{64}$/u);
  });

  test("refuses a damaged log with exit code 3 and the reason", async () => {
    const path = join(await scratch(), "run.steplog");
    await writeLog(opt, path, [0.5]);
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, -1));
    const { code, stderr, stdout } = await steplogHere(["log", path, "--json"]);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "LOG_INVALID" } });
    expect(stderr).toMatch(/^LOG_INVALID: .*truncated/u);
  });
});

describe("steplog reconstruct", () => {
  test("rebuilds, verifies, and knows the digest", async () => {
    const folder = await scratch();
    const log = join(folder, "run.steplog");
    await writeLog(opt, log, [0.5, -0.25, 0.125]);
    const out = join(folder, "out");
    const { code, stdout } = await steplogHere([
      "reconstruct",
      "--base",
      opt,
      "--log",
      log,
      "--out",
      out,
      "--verify",
      "--json",
    ]);
    const { digest, entries } = JSON.parse(stdout) as { digest: string; entries: number };
    expect({ code, entries }).toStrictEqual({ code: 0, entries: 3 });
    const again = ["reconstruct", "--base", opt, "--log", log, "--out", join(folder, "again")];
    expect((await steplogHere([...again, "--digest", digest])).code).toBe(0);
    expect((await steplogHere([...again, "--force", "--digest", "00"])).code).toBe(3);
    const half = join(folder, "half");
    const narrow = ["reconstruct", "--base", opt, "--log", log, "--out", half, "--dtype", "bfloat16"];
    const { stdout: said } = await steplogHere([...narrow, "--digest", digest]);
    expect(said).toContain(`files digest   ${await baseHash(await openModelFolder(half))}`);
    expect((await steplogHere([...narrow.slice(0, -1), "int8"])).stderr).toMatch(/float32, bfloat16, float16/u);
  });

  test("against the wrong base names both hashes, with exit code 3", async () => {
    const folder = await scratch();
    const log = join(folder, "run.steplog");
    await writeLog(opt, log, [0.5]);
    const base = await randomModel();
    const { code, stderr } = await steplogHere([
      "reconstruct",
      "--base",
      base,
      "--log",
      log,
      "--out",
      join(folder, "out"),
    ]);
    expect(code).toBe(3);
    expect(stderr).toContain("BASE_MISMATCH");
    expect(stderr).toContain(await baseHash(await openModelFolder(base)));
    expect(stderr).toContain(await baseHash(await openModelFolder(opt)));
  });
});

test("steplog hash prints the base hash", async () => {
  const { code, stdout } = await steplogHere(["hash", opt]);
  expect({ code, stdout }).toStrictEqual({ code: 0, stdout: `${await baseHash(await openModelFolder(opt))}\n` });
});

describe("steplog score", () => {
  test("prints the mean loss and the number of scored tokens of each row", async () => {
    const data = join(await scratch(), "rows.jsonl");
    const rows = expected.input_ids.map((ids, row) => JSON.stringify({ input_ids: ids, labels: expected.labels[row] }));
    await writeFile(data, rows.join("\n"));
    const { code, stdout } = await steplogHere(["score", "--model", opt, "--data", data, "--json"]);
    expect(code).toBe(0);
    const { rows: scores } = JSON.parse(stdout) as { rows: { loss: number; tokens: number }[] };
    scores.forEach(({ loss, tokens }, row) => {
      const known = expected.nll.filter((token) => token.row === row);
      expect(tokens).toBe(known.length);
      expect(Math.abs(loss - known.reduce((sum, { nll }) => sum + nll, 0) / known.length)).toBeLessThan(1e-4);
    });
  });

  test("names the line of a row that is wrong", async () => {
    const data = join(await scratch(), "rows.jsonl");
    await writeFile(data, '{"input_ids":[1,2],"labels":[1,2]}\n{"input_ids":[1,500],"labels":[1,2]}\n');
    const { code, stderr } = await steplogHere(["score", "--model", opt, "--data", data]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/line 2: token 500 is outside the vocabulary of 128/u);
  });
});

describe("steplog generate", () => {
  test("continues tokens greedily", async () => {
    for (const { prompt, tokens } of expected.greedy) {
      const args = [
        "generate",
        "--model",
        opt,
        "--input-ids",
        prompt.join(","),
        "--max-tokens",
        String(tokens.length),
        "--json",
      ];
      const { code, stdout } = await steplogHere(args);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ tokens });
    }
  });

  test("draws the same tokens for the same seed, and others for another", async () => {
    const draw = async (...options: string[]) => {
      const { code, stdout } = await steplogHere([
        "generate",
        "--model",
        opt,
        "--input-ids",
        "1,2",
        "--json",
        ...options,
      ]);
      expect(code).toBe(0);
      return (JSON.parse(stdout) as { tokens: number[] }).tokens;
    };
    const drawn = await draw("--temperature", "3", "--seed", "7");
    expect(await draw("--temperature", "3", "--seed", "7")).toEqual(drawn);
    expect(await draw("--temperature", "3", "--seed", "8")).not.toEqual(drawn);
    const likeliest = await draw();
    expect(await draw("--temperature", "0", "--seed", "7")).toEqual(likeliest);
    expect(await draw("--top-k", "1")).toEqual(likeliest);
  });

  test("continues text where there is a tokenizer", async () => {
    const folder = join(await scratch(), "model");
    await cp(opt, folder, { recursive: true });
    for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
      await cp(golden("tokenizers/bytelevel-gpt2", file), join(folder, file));
    }
    const { code, stdout } = await steplogHere([
      "generate",
      "--model",
      folder,
      "--prompt",
      "!!",
      "--max-tokens",
      "3",
      "--json",
    ]);
    expect(code).toBe(0);
    const { tokens, text } = JSON.parse(stdout) as { tokens: number[]; text: string };
    expect(tokens).toHaveLength(3);
    const more = ["--model", folder, "--prompt", "!!", "--max-tokens", "3"];
    expect((await steplogHere(["generate", ...more])).stdout).toBe(`${text}\n`);
    const stopped = await steplogHere(["generate", ...more, "--stop", text.slice(-1), "--json"]);
    expect(JSON.parse(stopped.stdout)).toMatchObject({
      text: text.slice(0, text.indexOf(text.slice(-1))),
      finishReason: "STOP",
    });
  });

  test("writes several texts after a prompt, with log-probabilities", async () => {
    const args = ["generate", "--model", opt, "--input-ids", "1,2", "--max-tokens", "4", "--json", "--logprobs", "2"];
    const { code, stdout } = await steplogHere([...args, "--n", "2", "--min-p", "0.01", "--repetition-penalty", "1.1"]);
    expect(code).toBe(0);
    const texts = JSON.parse(stdout) as { tokens: number[]; logprobs: { token: number; top: unknown[] }[] }[];
    expect(texts).toHaveLength(2);
    for (const { tokens, logprobs } of texts) {
      expect(logprobs.map(({ token }) => token)).toEqual(tokens);
      expect(logprobs.every(({ top }) => top.length === 2)).toBe(true);
    }
    expect(texts[0]?.tokens).not.toEqual(texts[1]?.tokens);
  });

  test.each([
    [["--stop", ""], /--stop is empty/u],
    [["--logprobs", "2"], /Add --json/u],
    [["--stop", "a"], /no tokenizer.json. Leave --stop out/u],
  ])("refuses %j", async (options, words) => {
    const { code, stderr } = await steplogHere(["generate", "--model", opt, "--input-ids", "1,2", ...options]);
    expect([code, stderr]).toEqual([3, expect.stringMatching(words)]);
  });

  test("refuses a prompt that does not fit the context", async () => {
    const { code, stderr } = await steplogHere([
      "generate",
      "--model",
      opt,
      "--input-ids",
      "1,2",
      "--max-tokens",
      "500",
    ]);
    expect(code).toBe(3);
    expect(stderr).toContain("context of 64");
  });
});

describe("steplog init", () => {
  test.each(["f32", "bf16"])("writes the same %s weights for the same seed", async (dtype) => {
    const folder = await scratch();
    const config = join(folder, "config.json");
    await writeFile(config, JSON.stringify(tinyConfig));
    const hashes: string[] = [];
    for (const [out, seed] of [
      ["a", "1"],
      ["b", "1"],
      ["c", "2"],
    ] as const) {
      const path = join(folder, out);
      expect(
        (await steplogHere(["init", "--config", config, "--seed", seed, "--dtype", dtype, "--out", path])).code,
      ).toBe(0);
      hashes.push(await baseHash(await openModelFolder(path)));
    }
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[0]).not.toBe(hashes[2]);
  });
});

describe("a typo", () => {
  test.each([
    [["lgo"], /unknown command 'lgo'/u],
    [["hash"], /missing required argument/u],
    [["generate", "--model", "x", "--input-ids", "1,b"], /Give token ids/u],
    [["generate", "--model", "x", "--max-tokens", "0"], /whole number from 1/u],
    [["generate", "--model", "x", "--temperature", "-1"], /number from 0/u],
    [["generate", "--model", "x", "--temperature", "warm"], /number from 0/u],
    [["generate", "--model", "x", "--temperature", "Infinity"], /number from 0/u],
    [["generate", "--model", "x", "--top-k", "0"], /whole number from 1/u],
    [["generate", "--model", "x", "--top-p", "0"], /above 0 and up to 1/u],
    [["generate", "--model", "x", "--min-p", "2"], /number from 0 to 1/u],
    [["generate", "--model", "x", "--repetition-penalty", "0"], /number above 0/u],
    [["generate", "--model", "x", "--top-p", "1.1"], /above 0 and up to 1/u],
    [["generate", "--model", "x", "--seed", "-1"], /whole number from 0/u],
    [["score", "--model", "x", "--data", "y", "--device", "abacus"], /Allowed choices/u],
  ])("%j is told with exit code 2", async (args, words) => {
    const { code, stderr } = await steplogHere(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(words);
  });

  test("gives a process exit code 2", async () => {
    const { code, stderr } = await runSteplog(["lgo"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("unknown command 'lgo'") as string });
  });

  test("in a path is told with exit code 3", async () => {
    const { code, stderr } = await steplogHere(["hash", "/no/such/model"]);
    expect(code).toBe(3);
    expect(stderr).toContain("There is no folder /no/such/model");
  });

  test("in the environment is told with exit code 3", async () => {
    const unset = await steplogHere(["server"], { DATABASE_URL: "" });
    expect(unset).toMatchObject({ code: 3, stderr: expect.stringContaining("DATABASE_URL is not set") as string });
    expect((await steplogHere(["server"], { PORT: "http", DATABASE_URL: "postgres://x" })).stderr).toContain(
      'PORT is "http"',
    );
  });

  test("--help shows commands and examples", async () => {
    const { code, stdout } = await runSteplog(["--help"]);
    expect(code).toBe(0);
    for (const word of ["start", "tune", "reconstruct", "Exit codes"]) expect(stdout).toContain(word);
  });
});
