/** A request to score: the log-probability of each token of some rows' completions after their prompts. */
import type { RowScore, ScoreTask, ScoredRow, TokenLogprob } from "../../schema/completion.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { TokenLogProbabilities } from "../generation/logprobs.ts";
import { logProbabilities } from "../generation/logprobs.ts";
import { freeCaches } from "./caches.ts";
import type { PromptUse } from "./prompt-pieces.ts";
import { mostTokens } from "./prompt-pieces.ts";
import type { Answering } from "./request.ts";
import { OpenRequest, checkTokens } from "./request.ts";

export class Scoring extends OpenRequest {
  readonly #answering: Answering<ScoreTask>;
  readonly #scores: RowScore[] = [];
  #open: number;

  private constructor(answering: Answering<ScoreTask>) {
    super(answering);
    this.#answering = answering;
    this.#open = answering.task.rows.length;
  }

  /** The request, and what is to be computed for its rows. @throws INVALID_ARGUMENT, MODEL_UNSUPPORTED */
  static start(answering: Answering<ScoreTask>): [Scoring, PromptUse[]] {
    const { task, model } = answering;
    if (task.rows.length === 0) throw new SteplogError("INVALID_ARGUMENT", "There are no rows to score.");
    for (const { prompt, completion } of task.rows) {
      if (completion.length === 0) throw new SteplogError("INVALID_ARGUMENT", "A completion has no tokens.");
      checkTokens(model, prompt, completion, completion.length);
    }
    const request = new Scoring(answering);
    return [request, task.rows.map((row, index) => request.#use(row, index))];
  }

  #use({ prompt, completion }: ScoredRow, index: number): PromptUse {
    this.countPrompt(prompt.length + completion.length);
    const tokens = Int32Array.from([...prompt, ...completion.slice(0, -1)]);
    const { top } = this;
    const found: TokenLogprob[] = [];
    return {
      asker: this,
      tokens,
      wantedFrom: prompt.length - 1,
      targets: top > 0 ? null : Int32Array.from(completion),
      reused: (count) => this.countCached(count),
      hear: (outputs, first, count) => {
        const width = outputs.length / count;
        for (let i = 0; i < count; i++) {
          const rows = outputs.subarray(i * width, (i + 1) * width);
          found[first + i] = this.#score(rows, completion[first + i] ?? 0);
        }
      },
      end: (caches) => {
        freeCaches(this.#answering.model.device, caches);
        this.#finish(index, found);
        return Promise.resolve([]);
      },
    };
  }

  /** Rows are computed a few at a time: a pass of them, and the one before that is not finished. */
  get mostTokens(): number {
    const lengths = this.#answering.task.rows.map(({ prompt, completion }) => prompt.length + completion.length);
    const all = lengths.reduce((total, length) => total + length, 0);
    return Math.min(all, mostTokens.alone + Math.max(...lengths));
  }

  /** Likeliest tokens that are told with each scored one. */
  get top(): number {
    return this.#answering.task.logprobs ?? 0;
  }

  #score(output: Float32Array | Float64Array, token: number): TokenLogprob {
    const of: TokenLogProbabilities =
      output instanceof Float32Array
        ? logProbabilities(output, token, this.top)
        : { token, logProbability: -(output[0] ?? NaN), top: [] };
    return this.#answering.texts.chance(of);
  }

  #finish(index: number, score: RowScore): void {
    this.#scores[index] = score;
    this.#open -= 1;
    if (this.#open === 0) this.end(this.#scores);
  }
}
