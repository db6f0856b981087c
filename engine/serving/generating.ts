/** A request to write: one prompt, and one sequence for each choice that has not ended. */
import type { GenerateTask } from "../../schema/completion.ts";
import { sampler } from "../generation/sampling.ts";
import type { Written } from "../generation/writer.ts";
import { Writer } from "../generation/writer.ts";
import type { DoneChoice } from "../thread/serving-messages.ts";
import type { PromptUse } from "./prompt-pieces.ts";
import type { Answering } from "./request.ts";
import { OpenRequest, checkTokens } from "./request.ts";
import { Sequence } from "./sequence.ts";
import { SequencesPrompt } from "./sequences-prompt.ts";

export class Generating extends OpenRequest {
  readonly #answering: Answering<GenerateTask>;
  readonly #prompt: Int32Array;
  #open = 0;

  private constructor(answering: Answering<GenerateTask>, prompt: Int32Array) {
    super(answering);
    this.#answering = answering;
    this.#prompt = prompt;
  }

  /** The request, and its prompt; none if an earlier worker had all of its answer. @throws INVALID_ARGUMENT, MODEL_UNSUPPORTED */
  static async start(
    answering: Answering<GenerateTask>,
    prompt: Int32Array,
    done: readonly DoneChoice[],
  ): Promise<[Generating, PromptUse[]]> {
    const { model, task } = answering;
    for (const { tokens } of [{ tokens: [] }, ...done]) checkTokens(model, prompt, tokens, task.maxTokens);
    const request = new Generating(answering, prompt);
    request.countPrompt(prompt.length);
    const sequences: Sequence[] = [];
    for (let choice = 0; choice < task.n; choice++) {
      const sequence = await request.#sequence(choice, done[choice] ?? { tokens: [], finish: null });
      if (sequence) sequences.push(sequence);
    }
    request.#open = sequences.length;
    if (sequences.length > 0) return [request, [request.#promptOf(sequences)]];
    request.end(null);
    return [request, []];
  }

  get mostTokens(): number {
    const { n, maxTokens } = this.#answering.task;
    return n * (this.#prompt.length + maxTokens);
  }

  #promptOf(sequences: readonly Sequence[]): PromptUse {
    const onReuse = (tokens: number) => this.countCached(tokens);
    return new SequencesPrompt(this, this.#answering.model.device, this.#prompt, sequences, onReuse);
  }

  /** Null if the choice has ended. */
  async #sequence(choice: number, { tokens, finish }: DoneChoice): Promise<Sequence | null> {
    this.countCompletion(tokens.length);
    if (finish !== null) return null;
    const writer = this.#writer(choice, tokens);
    for (const token of tokens) if (writer.finish === null) await writer.known(token);
    if (writer.finish !== null) {
      const end = { choice, firstToken: tokens.length, tokens: [], text: "", logprobs: null, finish: writer.finish };
      this.#answering.heard.piece(end);
      return null;
    }
    const hear = (written: Written, index: number) => this.#hear(choice, written, index);
    return new Sequence({ asker: this, prompt: this.#prompt, writer, hear });
  }

  #writer(choice: number, written: readonly number[]): Writer {
    const { task, model, texts } = this.#answering;
    return new Writer({
      maxTokens: task.maxTokens,
      endOfSequence: model.folder.endOfSequence,
      choose: sampler(task.sampling, { choice, prompt: this.#prompt, written }),
      decoding: texts.decoding,
      stop: task.stop,
      ...(task.logprobs !== null && { logProbabilities: task.logprobs }),
    });
  }

  #hear(choice: number, { token, text, logProbabilities, finish }: Written, index: number): void {
    const { heard, texts } = this.#answering;
    const logprobs = logProbabilities && [texts.chance(logProbabilities)];
    this.countCompletion(1);
    heard.piece({ choice, firstToken: index, tokens: [token], text, logprobs, finish });
    if (finish === null) return;
    this.#open -= 1;
    if (this.#open === 0) this.end(null);
  }
}
