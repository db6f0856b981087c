/**
 * llama.cpp, measured in a process of its own by the libraries inside node-llama-cpp: `child.js JSON`. It prints a line
 * "RESULT {...}" at its end. Tokens go in as numbers, so no tokenizer is measured.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { invariant } from "../../schema/errors.ts";
import { randomTokens } from "../model.ts";

export interface LlamaTask {
  /** A folder with node-llama-cpp in its node_modules. */
  readonly llama: string;
  readonly gguf: string;
  readonly vocabulary: number;
  readonly prompt: number;
  readonly tokens: number;
  /** Generated together, in the last measurement. */
  readonly sequences: number;
  readonly threads: number;
}

/** Tokens per second. */
export interface Rates {
  readonly prompt: number;
  readonly one: number;
  readonly together: number;
}

/** What we use of node-llama-cpp. */
interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: readonly number[], options: { temperature: number }): AsyncIterable<number>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
}

interface Library {
  getLlama(options: { gpu: false; build: "never"; logLevel: "error" }): Promise<{
    loadModel(options: { modelPath: string }): Promise<{
      createContext(options: {
        contextSize: number;
        threads: number;
        sequences: number;
        batchSize: number;
      }): Promise<{ getSequence(): Sequence }>;
    }>;
  }>;
}

export async function measureLlama(task: LlamaTask): Promise<Rates> {
  const { llama: folder, gguf, vocabulary, prompt: length, tokens, sequences: count, threads } = task;
  const entry = join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
  const library = (await import(pathToFileURL(entry).href)) as Library;
  const llama = await library.getLlama({ gpu: false, build: "never", logLevel: "error" });
  const model = await llama.loadModel({ modelPath: gguf });
  const shape = { contextSize: length + 2 * tokens, threads, sequences: count, batchSize: Math.max(length, 512) };
  const context = await model.createContext(shape);
  const sequences = Array.from({ length: count }, () => context.getSequence());
  const [first] = sequences;
  invariant(first, "there is a sequence");
  const prompt = randomTokens(vocabulary, length);
  await first.evaluateWithoutGeneratingNewTokens(prompt);
  await first.clearHistory();
  const read = await secondsOf(() => first.evaluateWithoutGeneratingNewTokens(prompt));
  const one = await secondsOf(() => generate(first, tokens));
  for (const [at, sequence] of sequences.entries()) {
    await sequence.clearHistory();
    await sequence.evaluateWithoutGeneratingNewTokens(randomTokens(vocabulary, 16, at));
  }
  const together = await secondsOf(() => Promise.all(sequences.map((sequence) => generate(sequence, tokens))));
  return { prompt: length / read, one: tokens / one, together: (count * tokens) / together };
}

async function generate(sequence: Sequence, count: number): Promise<void> {
  let made = 0;
  for await (const token of sequence.evaluate([1], { temperature: 0 })) {
    invariant(token >= 0, "a token is a number");
    if (++made >= count) return;
  }
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

console.log(`RESULT ${JSON.stringify(await measureLlama(JSON.parse(process.argv[2] ?? "{}") as LlamaTask))}`);
process.exit(0);
