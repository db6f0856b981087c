/** Answers completions as a worker's serving lane does, through the store, with texts and scores that tests choose. */
import type {
  CompletionTask,
  GenerateTask,
  Piece,
  RowScore,
  ScoreTask,
  TokenLogprob,
} from "../../schema/completion.ts";
import type { ErrorCode } from "../../schema/errors.ts";
import type { JobKind } from "../../schema/jobs.ts";
import { leaseMs, reportMs } from "../../schema/limits.ts";
import type { Completion } from "../../schema/serving-tables.ts";
import { type ClaimedJob, type Store, leaseNameOf, unpackTokens } from "../../store/store.ts";
import { everything } from "../support/claims.ts";

/** The answer to a request. One token is one byte, as the test model has it. */
export interface Script {
  /** Each is a piece; every choice has them. */
  readonly texts?: readonly string[];
  readonly fails?: { readonly code: ErrorCode; readonly message: string };
  /** After its pieces, of which the last choice does not end. */
  readonly breaks?: Script["fails"];
  /** The pieces after the first wait for it. */
  readonly hold?: Promise<void>;
}

interface About {
  readonly name: string;
  readonly device: string;
  readonly version: string;
  readonly memoryBytes?: number;
  readonly kinds?: readonly JobKind[];
}

const usual: About = { name: "lane", device: "plain: a test", version: "1.2.3" };

export class FakeLane {
  /** Prompts of requests, as text. */
  readonly prompts: string[] = [];
  /** What they ask for, whole. */
  readonly tasks: CompletionTask[] = [];
  /** Ids of requests that somebody has cancelled or deleted while they were answered. */
  readonly cancelled: string[] = [];
  readonly #store: Store;
  readonly #stop = new AbortController();
  readonly #answering = new Set<Promise<void>>();
  #scripts: readonly Script[] = [];
  #always: ((completion: Completion) => Script) | null = null;
  #lane: Promise<void> = Promise.resolve();
  readonly #id = crypto.randomUUID();
  readonly #about: About;

  private constructor(store: Store, about: About) {
    this.#store = store;
    this.#about = about;
  }

  static async start(store: Store, about: About = usual): Promise<FakeLane> {
    const lane = new FakeLane(store, about);
    await lane.report();
    lane.#lane = lane.#claim();
    return lane;
  }

  /** Says again that it is alive, as workers do every few seconds. */
  async report(): Promise<void> {
    const { memoryBytes = 1e12 } = this.#about;
    const serving = { memoryBytes, places: 100, precision: "float32", warm: [], usedBytes: 0, requests: 0 };
    const can = await everything(this.#store);
    await this.#store.workers.report({ id: this.#id, ...can, ...this.#about, serving });
  }

  /** All requests are answered with what it makes of them. */
  always(answer: ((completion: Completion) => Script) | null): void {
    this.#always = answer;
  }

  /** The next requests are answered with these, in order; later ones with " good". */
  next(...scripts: readonly Script[]): void {
    this.#scripts = scripts;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#lane;
    await Promise.all(this.#answering);
    await this.#store.workers.remove(this.#id);
  }

  async #claim(): Promise<void> {
    const claimer = this.#store.claimer();
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const capabilities = { ...(await everything(this.#store)), kinds: ["COMPLETE"] as const };
      const claim = { worker: leaseNameOf("COMPLETE", this.#about.name), leaseMs: leaseMs * 50, capabilities };
      for (const job of await claimer.claimJobs(claim, 100)) {
        const [script = {}, ...later] = this.#scripts;
        this.#scripts = later;
        const answering = this.#answer(job, script).finally(() => this.#answering.delete(answering));
        this.#answering.add(answering);
      }
      await claimer.waitForJob({ timeoutMs: reportMs, signal });
      if (!signal.aborted) await this.report();
    }
  }

  async #answer(job: ClaimedJob, script: Script): Promise<void> {
    const completion = await this.#store.completions.get(job.subject);
    if (!completion) return;
    this.prompts.push(Buffer.from(unpackTokens(completion.prompt)).toString());
    this.tasks.push(completion.task);
    if (script.fails) return this.#end(job, 0, { status: "FAILED", issues: [], ...script.fails });
    if (completion.task.kind === "SCORE") {
      const scores = completion.task.rows.map((row) => scoreOf(row.prompt, row.completion));
      return this.#end(job, 0, { status: "SUCCEEDED", usage: usageOf(completion, 0), scores });
    }
    await this.#write(job, completion, completion.task, this.#always?.(completion) ?? script);
  }

  async #write(job: ClaimedJob, completion: Completion, task: GenerateTask, script: Script): Promise<void> {
    const { texts = [" good"], hold } = script;
    const pieces = texts.flatMap((text, at) => piecesOf(texts, text, at, task));
    let written = 0;
    for (const piece of pieces) {
      const [wanted] = await this.#store.appendPieces([{ job, after: written, pieces: [piece], end: null }], "plain");
      if (wanted !== "RUN") {
        this.cancelled.push(completion.id);
        if (wanted === null) return;
        return this.#end(job, written + 1, { status: "CANCELLED", usage: usageOf(completion, written) });
      }
      written += 1;
      if (written === task.n) await hold;
    }
    if (script.breaks) return this.#end(job, written, { status: "FAILED", issues: [], ...script.breaks });
    const tokens = pieces.reduce((sum, piece) => sum + piece.tokens.length, 0);
    await this.#end(job, written, { status: "SUCCEEDED", usage: usageOf(completion, tokens), scores: null });
  }

  async #end(job: ClaimedJob, after: number, end: NonNullable<Parameters<Store["appendPieces"]>[0][0]["end"]>) {
    await this.#store.appendPieces([{ job, after, pieces: [], end }], "plain");
  }
}

function piecesOf(texts: readonly string[], text: string, at: number, task: GenerateTask): Piece[] {
  const firstToken = Buffer.from(texts.slice(0, at).join("")).length;
  const tokens = [...Buffer.from(text)].slice(0, Math.max(0, task.maxTokens - firstToken));
  const whole = firstToken + tokens.length >= task.maxTokens ? "LENGTH" : "END";
  return Array.from({ length: task.n }, (_, choice) => ({
    choice,
    firstToken,
    tokens,
    text: Buffer.from(tokens).toString(),
    logprobs: task.logprobs === null ? null : tokens.map((token) => chanceOf(token, task.logprobs ?? 0)),
    finish: at === texts.length - 1 ? whole : null,
  }));
}

/** The likelier, the more often the byte is in the prompt. */
export function scoreOf(prompt: readonly number[], completion: ScoreTask["rows"][0]["completion"]): RowScore {
  return completion.map((token) => ({
    ...chanceOf(token, 0),
    logprob: -1 / (1 + prompt.filter((other) => other === token).length),
  }));
}

function chanceOf(token: number, top: number): TokenLogprob {
  const chance = { token, text: Buffer.from([token]).toString(), bytes: [token], logprob: -0.5 };
  return { ...chance, top: Array.from({ length: top }, () => chance) };
}

function usageOf({ prompt }: Completion, completionTokens: number) {
  return { promptTokens: unpackTokens(prompt).length, cachedTokens: 0, completionTokens };
}
