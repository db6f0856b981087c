/**
 * npm run test:interop -- [--python PATH] [--device NAME]: what we rebuild is what transformers loads.
 *
 * Each base is fine-tuned for a few steps, rebuilt from its log into one file and into shards, and loaded by compare.py
 * with transformers, which must find every tensor, compute our logits and write our greedy continuations. So is an adapter,
 * which peft must load, and what it is merged to. It needs a Python with torch, transformers and, for adapters, peft
 * (STEPLOG_PYTHON names one, else python3 is tried), so it is no part of `npm test`: where they are missing it says SKIPPED
 * and why, and that is a failure where a Python was named, or in CI.
 */
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadOptionalTokenizer } from "../../dataset/tokenizer.ts";
import { chooseDevice } from "../../engine/devices/choose.ts";
import type { Device } from "../../engine/devices/device.ts";
import { modelBytes, openModelFolder } from "../../engine/model/files/folder.ts";
import { seededLora, targetedModules } from "../../engine/model/adapters/lora.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import { seededPrefix } from "../../engine/model/adapters/prefix.ts";
import { openAdapter } from "../../engine/model/adapters/peft.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { invariant } from "../../schema/errors.ts";
import { goldenModels } from "../support/models.ts";
import type { Continuation, Subject } from "./subjects.ts";
import { continuationsOf, demoSubject, fineTune, goldenSubject } from "./subjects.ts";

const compare = fileURLToPath(new URL("compare.py", import.meta.url));

/** What compare.py is told of a folder; the logits lie in files of float32, [tokens, vocabulary] after one another. */
interface Case {
  readonly name: string;
  readonly folder: string;
  readonly base: string;
  /** Of an adapter, whose base `folder` then is. */
  readonly adapter: string | null;
  readonly masked: boolean;
  /** In which transformers must load it when nobody says another. */
  readonly dtype: string;
  readonly sequences: readonly (readonly number[])[];
  readonly logits: string;
  readonly tokens: readonly { readonly text: string; readonly ids: readonly number[] }[];
  /** Of a causal model: the likeliest `asked` tokens after a prompt, fewer after an end of sequence. */
  readonly greedy: readonly Continuation[];
}

const { values } = parseArgs({ options: { python: { type: "string" }, device: { type: "string", default: "plain" } } });
const python = values.python ?? process.env["STEPLOG_PYTHON"] ?? "python3";
const missing = whatIsMissing();
if (missing === null) process.exitCode = await main();
else process.exitCode = skip(missing);

function whatIsMissing(): string | null {
  const { status, error, stderr } = spawnSync(python, [compare, "--check"], { encoding: "utf8" });
  if (error) return `${python} cannot be run: ${error.message}`;
  return status === 0 ? null : stderr.trim();
}

function skip(reason: string): number {
  process.stderr.write(`\n*** SKIPPED: nothing was compared with transformers.\n*** ${reason}\n\n`);
  const promised = values.python ?? process.env["STEPLOG_PYTHON"] ?? process.env["CI"];
  return promised === undefined ? 0 : 1;
}

async function main(): Promise<number> {
  const { device } = await chooseDevice(values.device);
  const folder = await mkdtemp(join(tmpdir(), "steplog-interop-"));
  try {
    const subjects = [...(await Promise.all(goldenModels.map(goldenSubject))), await demoSubject()];
    const half = join(folder, "opt-half");
    const opt = subjects.find(({ name }) => name === "opt");
    invariant(opt, "opt is among the golden models");
    ask("--halve", opt.path, half);
    const cases: Case[] = [];
    for (const subject of [...subjects, { ...opt, name: "opt in float16", path: half }]) {
      const place = join(folder, subject.name.replaceAll(" ", "-"));
      cases.push(...(await rebuild(subject, device, place)), ...(await rebuildAdapter(subject, device, place)));
      cases.push(...(await rebuildPrefix(subject, device, place)));
    }
    await writeFile(join(folder, "cases.json"), JSON.stringify(cases));
    return ask(join(folder, "cases.json"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function ask(...args: string[]): number {
  const { status } = spawnSync(python, [compare, ...args], { stdio: "inherit" });
  return status ?? 1;
}

/** Fine-tunes, and rebuilds into one file, into at least three, and in another dtype. */
async function rebuild(subject: Subject, device: Device, folder: string): Promise<Case[]> {
  const base = join(folder, "base");
  await mkdir(folder);
  await cp(subject.path, base, { recursive: true });
  const { log, digest } = await fineTune(subject, base, device);
  const opened = await openModelFolder(base);
  const cases: Case[] = [];
  const common = { base: opened, log, device, verify: true, replace: false } as const;
  for (const [kind, form] of [
    ["one file", {}],
    ["shards", { shardBytes: modelBytes(opened) / 3 }],
    ["float16", { dtype: "float16" }],
  ] as const) {
    const out = join(folder, kind.replace(" ", "-"));
    const rebuilt = await reconstruct({ ...common, out, ...form });
    invariant(rebuilt.digest === digest, `${subject.name}, ${kind}: the rebuilt weights are those that were trained`);
    cases.push(await describeCase(subject, `${subject.name}, ${kind}`, base, out, device));
  }
  return cases;
}

/** Fine-tunes an adapter beside every linear layer, and rebuilds it, and the base with it merged, in two dtypes. */
async function rebuildAdapter(subject: Subject, device: Device, folder: string): Promise<Case[]> {
  const base = join(folder, "base");
  const opened = await openModelFolder(base);
  const adapter = seededLora(targetedModules(opened.architecture, ["*"]), { rank: 4, alpha: 8, seed: 7 });
  const { log, digest } = await fineTune(subject, base, device, adapter);
  const cases: Case[] = [];
  const common = { base: opened, log, device, verify: true, replace: false } as const;
  for (const [merge, dtype] of [
    [false, null],
    [true, null],
    [true, "bfloat16"],
  ] as const) {
    const form = [merge ? "merged adapter" : "adapter", dtype ?? []].flat().join(" in ");
    const out = join(folder, form.replaceAll(" ", "-"));
    const rebuilt = await reconstruct({ ...common, out, merge, dtype });
    invariant(rebuilt.digest === digest, `${subject.name}: the rebuilt adapter is the one that was trained`);
    const name = `${subject.name}, ${form}`;
    cases.push(await describeCase(subject, name, base, merge ? out : base, device, merge ? null : out));
  }
  return cases;
}

/** Fine-tunes a prefix, and rebuilds it. peft has no forward pass for one of a masked model. */
async function rebuildPrefix(subject: Subject, device: Device, folder: string): Promise<Case[]> {
  const base = join(folder, "base");
  const opened = await openModelFolder(base);
  if (opened.architecture.kind === "masked") return [];
  const { log, digest } = await fineTune(subject, base, device, seededPrefix(opened, 5, 7));
  const out = join(folder, "prefix");
  const rebuilt = await reconstruct({ base: opened, log, out, device, verify: true, replace: false });
  invariant(rebuilt.digest === digest, `${subject.name}: the rebuilt prefix is the one that was trained`);
  return [await describeCase(subject, `${subject.name}, prefix`, base, base, device, out)];
}

async function describeCase(
  { sequences, texts }: Subject,
  name: string,
  base: string,
  folder: string,
  device: Device,
  adapterFolder: string | null = null,
): Promise<Case> {
  const opened = await openModelFolder(folder);
  const adapter = adapterFolder === null ? null : await openAdapter(adapterFolder, opened.architecture);
  const model = await loadModel(opened, device, "normal", { adapter });
  const tokenizer = await loadOptionalTokenizer(folder);
  const logits = `${adapterFolder ?? folder}.logits`;
  await writeFile(logits, await logitsOf(model, sequences));
  const dtypes = new Set(model.folder.tensors.map((tensor) => tensor.dtype));
  const isHalf = dtypes.size === 1 && dtypes.has("F16");
  return {
    name,
    folder,
    base,
    adapter: adapterFolder,
    masked: model.folder.architecture.kind === "masked",
    dtype: dtypes.has("BF16") ? "bfloat16" : isHalf ? "float16" : "float32",
    sequences,
    logits,
    tokens: texts.map((text) => ({ text, ids: tokenizer?.encodeStart(text) ?? [] })),
    greedy: await continuationsOf(model, sequences),
  };
}

async function logitsOf(model: Model, sequences: readonly (readonly number[])[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const sequence of sequences) {
    const logits = await model.logits(Int32Array.from(sequence), Int32Array.from(sequence.keys()));
    parts.push(Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength));
  }
  return Buffer.concat(parts);
}
