/**
 * Prompts as a model reads them: text, or a conversation by the model's chat template with what comes before the next turn
 * of the assistant, to tokens. Runs in the sandbox, since texts and templates are foreign.
 */
import { join } from "node:path";
import { z } from "zod";
import type { Reporter } from "../sandbox/messages.ts";
import { SteplogError } from "../schema/errors.ts";
import { isMuchLonger } from "./encode.ts";
import { tokenizerOf } from "./kept-tokenizers.ts";
import type { Message } from "./message.ts";
import { blameModel, modelTextBytes, readModelText } from "./model-text.ts";
import { textProblem } from "./text.ts";
import { tokenTexts } from "./token-texts.ts";
import type { Tokenizer } from "./tokenizer.ts";

export type Prompt =
  | { readonly text: string }
  | { readonly tokens: readonly number[] }
  | { readonly messages: readonly Message[]; readonly tools: readonly object[] | null };

/** A prompt, or a text after one, and the request's field that it stands in. */
export interface Asked<T> {
  readonly field: string;
  readonly asked: T;
}

export interface Question {
  /** Folder and name of the model. */
  readonly folder: string;
  readonly model: string;
  /** Changes when the folder's tokenizer does. */
  readonly tokenizerKey: string;
  readonly prompts: readonly Asked<Prompt>[];
  /** Texts that may come after a prompt: labels, completions. */
  readonly words: readonly Asked<string>[];
  /** Tokens that a prompt may have. */
  readonly room: number;
  /** Tokens that the request names otherwise. */
  readonly named: readonly Asked<readonly number[]>[];
  /** Whether the text of each token of the prompts is wanted. */
  readonly texts: boolean;
}

export interface AskedTokens {
  /** Null for a prompt that certainly has more than `room` tokens. One that has a few more is whole. */
  readonly prompts: readonly (readonly number[] | null)[];
  readonly words: readonly (readonly number[])[];
  /** Of each prompt, the text of each token; null unless wanted. */
  readonly texts: readonly (readonly string[])[] | null;
}

/** Tokenizers that a process keeps. */
const mostKept = 4;

/**
 * @throws INVALID_ARGUMENT naming the field: an empty prompt, a text that cannot be tokenised, a token outside the vocabulary,
 *   a conversation that the template refuses. MODEL_UNSUPPORTED for messages without a template, or tools that it does not
 *   write. MODEL_INVALID
 */
export async function askTokens(question: Question, { begin }: Reporter): Promise<AskedTokens> {
  const { folder, model, tokenizerKey, prompts, words, named } = question;
  begin(blameModel(`Loading the tokenizer and chat template of ${model}`));
  const tokenizer = await tokenizerOf(folder, tokenizerKey, mostKept);
  const vocabulary = await vocabularyOf(folder);
  for (const { field, asked } of named) checkTokens(asked, field, vocabulary);
  begin(blameModel(`Tokenising the request with the tokenizer and chat template of ${model}`));
  const encoded = prompts.map((prompt) => encode(tokenizer, prompt, question.room, vocabulary));
  return {
    prompts: encoded,
    words: words.map((word) => encodeWord(tokenizer, word)),
    texts: question.texts ? encoded.map((tokens) => textsOf(tokenizer, tokens ?? [])) : null,
  };
}

function encode(
  tokenizer: Tokenizer | null,
  { field, asked }: Asked<Prompt>,
  room: number,
  vocabulary: number | null,
): readonly number[] | null {
  const tokens = "tokens" in asked ? asked.tokens : encodeText(needed(tokenizer, field), asked, field, room);
  if (tokens === null) return null;
  if (tokens.length === 0) throw refused(field, "has no tokens. Give at least one");
  if ("tokens" in asked) checkTokens(tokens, field, vocabulary);
  return tokens;
}

function encodeText(
  tokenizer: Tokenizer,
  asked: Exclude<Prompt, { readonly tokens: unknown }>,
  field: string,
  room: number,
): number[] | null {
  const text = "text" in asked ? checked(asked.text, field) : written(tokenizer, asked, field);
  if (isMuchLonger(tokenizer, text, room)) return null;
  return "text" in asked ? tokenizer.encodeStart(text) : tokenizer.encodeMore(text);
}

/** A conversation as the template writes it. Its refusals are about rows of datasets; these are about a request. */
function written(
  { chat }: Tokenizer,
  { messages, tools }: Extract<Prompt, { readonly messages: unknown }>,
  field: string,
): string {
  if (!chat) {
    const message = "The model has no chat template. Give a prompt in place of messages.";
    throw new SteplogError("MODEL_UNSUPPORTED", message, [{ field, message }]);
  }
  try {
    return chat.ask({ messages, ...(tools && tools.length > 0 && { tools }) });
  } catch (error) {
    if (!(error instanceof SteplogError) || error.code !== "DATASET_INVALID") throw error;
    const [issue] = error.issues;
    const at = issue?.field ?? field;
    const message = (issue?.message ?? error.message).replace(/^"[^"]*": /u, "");
    throw new SteplogError(at === "tools" ? "MODEL_UNSUPPORTED" : "INVALID_ARGUMENT", `${at}: ${message}.`, [
      { field: at, message },
    ]);
  }
}

function encodeWord(tokenizer: Tokenizer | null, { field, asked }: Asked<string>): number[] {
  const tokens = needed(tokenizer, field).encodeMore(checked(asked, field));
  if (tokens.length === 0) throw refused(field, "has no tokens. Give some text");
  return tokens;
}

function needed(tokenizer: Tokenizer | null, field: string): Tokenizer {
  if (tokenizer) return tokenizer;
  throw refused(field, "is text, but the model's folder has no tokenizer.json. Give tokens");
}

function checked(text: string, field: string): string {
  const problem = textProblem(text);
  if (problem === null) return text;
  throw refused(field, problem);
}

function checkTokens(tokens: readonly number[], field: string, vocabulary: number | null): void {
  const outside = vocabulary === null ? undefined : tokens.find((token) => token >= vocabulary);
  if (outside === undefined) return;
  throw refused(field, `has the token ${outside}, but the model's vocabulary has tokens 0 to ${(vocabulary ?? 0) - 1}`);
}

function textsOf(tokenizer: Tokenizer | null, tokens: readonly number[]): string[] {
  const textOf = tokenizer && tokenTexts(tokenizer);
  return tokens.map((token) => textOf?.(token) ?? "");
}

const sizes = z.object({ vocab_size: z.int().min(1) });

/** Tokens that the model knows; null if its config does not say. */
async function vocabularyOf(folder: string): Promise<number | null> {
  const text = await readModelText(join(folder, "config.json"), modelTextBytes.config);
  try {
    return sizes.safeParse(JSON.parse(text ?? "null")).data?.vocab_size ?? null;
  } catch {
    return null;
  }
}

function refused(field: string, message: string): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", `${field}: ${message}.`, [{ field, message }]);
}
