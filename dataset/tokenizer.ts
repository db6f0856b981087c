/** Text to tokens and back, with the tokenizer.json of a model folder. */
import { join } from "node:path";
import { z } from "zod";
import { SteplogError } from "../schema/errors.ts";
import { ChatTemplate } from "./chat.ts";
import { modelTextBytes, readModelText } from "./model-text.ts";
import { type ConfigFiles, changesOf, tokenTexts } from "./tokenizing/config-changes.ts";
import { type Pipeline, pipelineOf } from "./tokenizing/pipeline.ts";
import { tokenizerOfVocabulary } from "./vocabulary.ts";

export interface Tokenizer {
  /**
   * Tokens of a text at the start of a sequence: with the special tokens that the tokenizer adds before it (BOS), but without
   * those it adds after a whole sequence (RoBERTa's </s>), since more may follow.
   */
  encodeStart(text: string): number[];
  /** Tokens of a whole sequence, with all special tokens. */
  encodeWhole(text: string): number[];
  /** The token that a masked language model fills in; null if the folder defines none. */
  readonly mask: { readonly id: number; readonly text: string } | null;
  /** Tokens of a text inside a sequence, without special tokens. */
  encodeMore(text: string): number[];
  /** The text of tokens, without special tokens. */
  decode(ids: readonly number[]): string;
  /** The bytes in UTF-8 of a token that may be part of a character; null for one that is characters, or special. */
  bytesOf(id: number): readonly number[] | null;
  /** The token of what the vocabulary lacks; null if there is none. */
  readonly unknown: number | null;
  /** Whether a token is special, such as one that ends a turn. */
  isSpecial(id: number): boolean;
  /** The text of a special token; undefined for other tokens. */
  specialText(id: number): string | undefined;
  /** The model's chat template; null if its folder has none. */
  readonly chat: Pick<ChatTemplate, "write" | "locate" | "ask"> | null;
}

/** @throws MODEL_INVALID if the folder's tokenizer.json is missing or cannot be used */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const tokenizer = await loadOptionalTokenizer(folder);
  if (tokenizer) return tokenizer;
  const advice = "Save the model with its fast tokenizer (tokenizer.save_pretrained).";
  throw new SteplogError("MODEL_INVALID", `${folder} has no tokenizer.json. ${advice}`);
}

/** Null for a folder without tokenizer.json: rows and prompts given as tokens need none. @throws MODEL_INVALID */
export async function loadOptionalTokenizer(folder: string): Promise<Tokenizer | null> {
  const config = (await readObject(join(folder, "tokenizer_config.json"))) ?? {};
  const tokenizer = await readObject(join(folder, "tokenizer.json"));
  if (!tokenizer) return loadVocabulary(folder, config);
  const chat = await readChatTemplate(folder, config);
  const addedTokens = await readObject(join(folder, "added_tokens.json"));
  const specialTokensMap = await readObject(join(folder, "special_tokens_map.json"));
  const pipeline = construct(folder, { tokenizer, config, addedTokens, specialTokensMap });
  return wrap(pipeline, chat, tokenTexts(config)["mask_token"]);
}

/** Of vocab.json and merges.txt; null if the folder lacks these too. */
async function loadVocabulary(folder: string, config: object): Promise<Tokenizer | null> {
  const built = await tokenizerOfVocabulary(folder);
  if (!built) return null;
  const chat = await readChatTemplate(folder, config);
  // The other files are part of it already.
  const none = { config: {}, addedTokens: null, specialTokensMap: null };
  return wrap(construct(folder, { tokenizer: built.tokenizer, ...none }), chat, built.mask);
}

/** @throws MODEL_INVALID if a part of the tokenizer is damaged or of a kind that would be cut otherwise than it should */
function construct(folder: string, files: ConfigFiles): Pipeline {
  try {
    return pipelineOf(files.tokenizer, changesOf(files));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const path = join(folder, "tokenizer.json");
    throw new SteplogError("MODEL_INVALID", `${path} cannot be used: ${reason}.`, [], { cause });
  }
}

function wrap(pipeline: Pipeline, chat: ChatTemplate | null, maskText: string | undefined): Tokenizer {
  const { encode, around } = pipeline;
  return {
    encodeStart: (text) => [...around.before, ...encode(text)],
    encodeWhole: (text) => [...around.before, ...encode(text), ...around.after],
    mask: maskOf(maskText, encode),
    encodeMore: encode,
    unknown: pipeline.unknown,
    bytesOf: pipeline.bytesOf,
    isSpecial: (id) => pipeline.specialText(id) !== undefined,
    specialText: pipeline.specialText,
    chat,
    decode: (ids) => pipeline.decode(ids, true),
  };
}

function maskOf(text: string | undefined, encode: (text: string) => number[]): Tokenizer["mask"] {
  const [id, ...more] = text === undefined ? [] : encode(text);
  return text === undefined || id === undefined || more.length > 0 ? null : { id, text };
}

/** One template, or several named ones, of which "default" is for plain conversations. */
const templateSchema = z.union([
  z.string(),
  z
    .array(z.object({ name: z.string(), template: z.string() }))
    .transform((named) => named.find(({ name }) => name === "default")?.template),
]);

/** From chat_template.jinja, which transformers writes now, or the JSON fields it wrote before. @throws MODEL_INVALID */
async function readChatTemplate(folder: string, config: object): Promise<ChatTemplate | null> {
  const inJson = (await readObject(join(folder, "chat_template.json"))) ?? config;
  const field = "chat_template" in inJson ? templateSchema.safeParse(inJson.chat_template).data : undefined;
  const source = (await readModelText(join(folder, "chat_template.jinja"), modelTextBytes.config)) ?? field;
  return source === undefined ? null : new ChatTemplate(source, tokenTexts(config));
}

async function readObject(path: string): Promise<object | null> {
  const text = await readModelText(path, modelTextBytes.tokenizer);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch (cause) {
    throw new SteplogError("MODEL_INVALID", `${path} is not JSON.`, [], { cause });
  }
  throw new SteplogError("MODEL_INVALID", `${path} is not a JSON object.`);
}
