/** A service of its own for a measurement: one process with its database, its gateway and one worker. */
import { once } from "node:events";
import { spawn } from "node:child_process";
import { copyFile, link, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SteplogError } from "../../schema/errors.ts";
import { programPath } from "../../schema/package.ts";

export interface Service {
  readonly url: string;
  /** Folder of its models. */
  readonly models: string;
  /** Of the process that started the others. */
  readonly pid: number;
  stop(): Promise<void>;
}

export interface ServiceOptions {
  /** Folder of the model, and its name in the service. */
  readonly model: string;
  readonly name: string;
  readonly vocabulary: number;
  readonly device: string;
  readonly threads?: number;
  /** More variables of its environment. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a service that has the model registered. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { device, threads = 0, name, settings } = options;
  const place = (models: string) => placeModel(options, join(models, name));
  const service = await startOwnService(
    { STEPLOG_DEVICE: device, STEPLOG_THREADS: String(threads), ...settings },
    place,
  );
  await registered(service.url, name).catch(async (error: unknown) => {
    await service.stop();
    throw error;
  });
  return service;
}

/** @param fill puts models into the folder, which otherwise has the demo's */
export async function startOwnService(
  settings: Readonly<Record<string, string>>,
  fill?: (models: string) => Promise<void>,
): Promise<Service> {
  const data = await mkdtemp(join(tmpdir(), "steplog-bench-serve-"));
  await fill?.(join(data, "models"));
  const own = { STEPLOG_DATA: data, STEPLOG_LOG_LEVEL: "warn", PORT: "0", DATABASE_URL: "" };
  const child = spawn(process.execPath, [programPath("cli/steplog"), "start"], {
    env: { ...process.env, ...own, ...settings },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
    await rm(data, { recursive: true, force: true });
  };
  try {
    const ended = exited.then(() => Promise.reject(new SteplogError("UNAVAILABLE", "The service did not start.")));
    const url = await Promise.race([printedUrl(child.stdout), ended]);
    return { url, models: join(data, "models"), pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The address that the service prints when it is up. */
function printedUrl(stdout: Readable): Promise<string> {
  let text = "";
  return new Promise((resolve) => {
    stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const [url] = /http:\/\/[\w.]+:\d+/u.exec(text) ?? [];
      if (url !== undefined) resolve(url);
    });
  });
}

/** The model's files, linked rather than copied, and a tokenizer, which random models lack. */
async function placeModel({ model, vocabulary }: ServiceOptions, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(model)) {
    const [from, to] = [join(model, name), join(folder, name)];
    await link(from, to).catch(() => copyFile(from, to));
  }
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(madeUpTokenizer(vocabulary)));
  await writeFile(
    join(folder, "tokenizer_config.json"),
    JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast" }),
  );
}

/** Every token is a text of letters: the bytes first, then as many others as the vocabulary has. */
function madeUpTokenizer(vocabulary: number): unknown {
  const letters = Array.from({ length: 26 }, (_, at) => String.fromCharCode(97 + at));
  const word = (number: number): string =>
    number < 26 ? (letters[number] ?? "") : word(Math.floor(number / 26) - 1) + (letters[number % 26] ?? "");
  const vocab = Object.fromEntries(Array.from({ length: vocabulary }, (_, token) => [word(token), token]));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", vocab, merges: [] },
  };
}

/** The worker registers what it finds in its folder when it starts. */
async function registered(url: string, name: string): Promise<void> {
  await until("the model to be registered", async () => {
    const response = await fetch(`${url}/v1/models/${name}`);
    await response.body?.cancel();
    return response.ok;
  });
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new SteplogError("UNAVAILABLE", `Waited two minutes for ${what}.`);
}
