/** A request while it is answered: what became of it is told once. */
import type { CompletionTask, Piece, RowScore, Usage } from "../../schema/completion.ts";
import { SteplogError } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import type { LoadedModel } from "./loaded-base.ts";
import type { ModelTexts } from "./model-texts.ts";
import type { Asker } from "./sequence.ts";

export interface Heard {
  piece(piece: Piece): void;
  ended(usage: Usage, scores: readonly RowScore[] | null): void;
  failed(error: unknown): void;
}

/** What a request is answered with. */
export interface Answering<Task extends CompletionTask = CompletionTask> {
  readonly task: Task;
  readonly model: LoadedModel;
  readonly texts: ModelTexts;
  readonly heard: Heard;
}

export abstract class OpenRequest implements Asker {
  /** Tokens that its caches may come to hold at once. */
  abstract readonly mostTokens: number;
  readonly model: LoadedModel;
  readonly #heard: Heard;
  #isOpen = true;
  #promptTokens = 0;
  #cachedTokens = 0;
  #completionTokens = 0;

  constructor({ model, heard }: Pick<Answering, "model" | "heard">) {
    this.model = model;
    this.#heard = heard;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get usage(): Usage {
    return {
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cachedTokens,
      completionTokens: this.#completionTokens,
    };
  }

  fail(error: unknown): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#heard.failed(error);
  }

  /** Nobody wants the rest. */
  cancel(): void {
    this.end(null);
  }

  protected end(scores: readonly RowScore[] | null): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#heard.ended(this.usage, scores);
  }

  protected countPrompt(tokens: number): void {
    this.#promptTokens += tokens;
  }

  protected countCached(tokens: number): void {
    this.#cachedTokens += tokens;
  }

  protected countCompletion(tokens: number): void {
    this.#completionTokens += tokens;
  }
}

/** @throws INVALID_ARGUMENT, MODEL_UNSUPPORTED: what the gateway checks too, but never that the model is what it was */
export function checkTokens(
  { folder, contextLength }: LoadedModel,
  prompt: ArrayLike<number>,
  more: ArrayLike<number>,
  length: number,
): void {
  const { kind, family, vocabulary } = folder.architecture;
  if (kind !== "causal") {
    throw new SteplogError("MODEL_UNSUPPORTED", `${family} is a masked language model, which cannot continue text.`);
  }
  if (prompt.length === 0) throw new SteplogError("INVALID_ARGUMENT", "The prompt has no tokens.");
  const strange = [...Array.from(prompt), ...Array.from(more)].find((token) => token < 0 || token >= vocabulary);
  if (strange !== undefined) {
    throw new SteplogError("INVALID_ARGUMENT", `Token ${strange} is outside the vocabulary of ${vocabulary}.`);
  }
  if (prompt.length + length <= contextLength) return;
  const seen = `A prompt of ${counted(prompt.length, "token")} and ${length} more`;
  const room = counted(contextLength, "token");
  throw new SteplogError("INVALID_ARGUMENT", `${seen} do not fit the model's context of ${room}.`);
}
