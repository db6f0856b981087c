/** The engine without a service: the thread that answers requests, in a process of its own that is kept (engine-child.ts). */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { SteplogError } from "../../schema/errors.ts";
import { programPath } from "../../schema/package.ts";
import type { Answer } from "./client.ts";

export interface EnginePlace {
  /** A model's folder with a tokenizer, and a folder that may keep its hash. */
  readonly path: string;
  readonly hashes: string;
  readonly device: string;
  readonly threads: number;
  /** Answered together, at most. */
  readonly sequences: number;
}

/** Prompts that are asked at once, and the tokens of each answer. */
export interface EngineQuestion {
  readonly prompts: readonly (readonly number[])[];
  readonly tokens: number;
}

/** What the process says: once at its start, then after each question. */
export type FromEngine = { readonly device: string } | { readonly answers: readonly Answer[] };

export class EngineAlone {
  readonly #child: ChildProcess;
  readonly device: string;

  private constructor(child: ChildProcess, device: string) {
    this.#child = child;
    this.device = device;
  }

  static async start(place: EnginePlace): Promise<EngineAlone> {
    const child = fork(programPath("bench/serve/engine-child"), [JSON.stringify(place)]);
    const said = await heard(child);
    return new EngineAlone(child, "device" in said ? said.device : "");
  }

  async ask(question: EngineQuestion): Promise<readonly Answer[]> {
    this.#child.send(question);
    const said = await heard(this.#child);
    return "answers" in said ? said.answers : [];
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    if (this.#child.exitCode === null && this.#child.kill()) await exited;
  }
}

/** @throws SteplogError INTERNAL if the process ends first; it has said why */
async function heard(child: ChildProcess): Promise<FromEngine> {
  const over = new AbortController();
  const ended = once(child, "exit", { signal: over.signal }).then(() =>
    Promise.reject(new SteplogError("INTERNAL", "The process of the engine alone has ended.")),
  );
  try {
    const message = once(child, "message", { signal: over.signal });
    return ((await Promise.race([message, ended])) as [FromEngine])[0];
  } finally {
    over.abort();
  }
}
