/** Text to tokens and back, with the tokenizer.json of a model folder. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { SteplogError } from "../schema/errors.ts";
import { ChatTemplate } from "./chat.ts";

/** The part of the library that is used. Its own types do not resolve under Node's module rules. */
interface LibraryTokenizer {
  encode(text: string, options?: { add_special_tokens?: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  readonly decoder: LibraryDecoder | null;
  readonly pre_tokenizer: LibrarySplitter | null;
}

interface LibrarySplitter {
  /** Some kinds have none. */
  readonly config?: { readonly type?: string };
  /** In a Sequence. */
  readonly tokenizers?: readonly LibrarySplitter[];
  /** In ByteLevel: the pattern of GPT-2's words. */
  pattern?: RegExp;
}

interface LibraryDecoder {
  readonly config: { readonly type?: string };
  /** In a Sequence. */
  readonly decoders?: readonly LibraryDecoder[];
  text_decoder?: { decode(bytes: Uint8Array): string };
}

const Library = HuggingFaceTokenizer as unknown as new (tokenizer: object, config: object) => LibraryTokenizer;

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
  /** Whether a token is special, such as one that ends a turn. */
  isSpecial(id: number): boolean;
  /** The text of a special token; undefined for other tokens. */
  specialText(id: number): string | undefined;
  /** The model's chat template; null if its folder has none. */
  readonly chat: ChatTemplate | null;
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
  const tokenizer = await readObject(join(folder, "tokenizer.json"));
  if (!tokenizer) return null;
  const config = (await readObject(join(folder, "tokenizer_config.json"))) ?? {};
  const chat = await readChatTemplate(folder, config);
  const library = construct(join(folder, "tokenizer.json"), tokenizer, config);
  return wrap(library, specialIds(tokenizer), chat, specialTokens(config)["mask_token"]);
}

/** @throws MODEL_INVALID if the library refuses the tokenizer */
function construct(path: string, tokenizer: object, config: object): LibraryTokenizer {
  try {
    return new Library(tokenizer, config);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SteplogError("MODEL_INVALID", `${path} cannot be used: ${reason}.`, [], { cause });
  }
}

function wrap(
  tokenizer: LibraryTokenizer,
  special: ReadonlyMap<number, string>,
  chat: ChatTemplate | null,
  maskText: string | undefined,
): Tokenizer {
  if (tokenizer.decoder) correctBytes(tokenizer.decoder);
  if (tokenizer.pre_tokenizer) correctSpaces(tokenizer.pre_tokenizer);
  const encodeMore = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const ending = endingOf(tokenizer.encode(probe).ids, encodeMore(probe));
  return {
    encodeStart: (text) => {
      const { ids } = tokenizer.encode(text);
      return ids.slice(0, ids.length - ending);
    },
    encodeWhole: (text) => tokenizer.encode(text).ids,
    mask: maskOf(maskText, encodeMore),
    encodeMore,
    isSpecial: (id) => special.has(id),
    specialText: (id) => special.get(id),
    chat,
    decode: (ids) => {
      if (ids.length === 0) return ""; // The library refuses an empty list.
      return tokenizer.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    },
  };
}

function maskOf(text: string | undefined, encode: (text: string) => number[]): Tokenizer["mask"] {
  const [id, ...more] = text === undefined ? [] : encode(text);
  return text === undefined || id === undefined || more.length > 0 ? null : { id, text };
}

const addedSchema = z.object({
  added_tokens: z
    .array(z.object({ id: z.int(), content: z.string(), special: z.boolean().default(false) }))
    .default([]),
});

/** The special tokens of a tokenizer.json, by id. */
function specialIds(tokenizer: object): Map<number, string> {
  const { success, data } = addedSchema.safeParse(tokenizer);
  const special = (success ? data.added_tokens : []).filter((token) => token.special);
  return new Map(special.map(({ id, content }) => [id, content]));
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
  const source = (await readText(join(folder, "chat_template.jinja"))) ?? field;
  return source === undefined ? null : new ChatTemplate(source, specialTokens(config));
}

/** The texts of bos_token and the like, which are strings or objects with a content. */
function specialTokens(config: object): Record<string, string> {
  const tokens = Object.entries(config).flatMap(([name, value]: [string, unknown]) => {
    const text: unknown = typeof value === "object" && value !== null && "content" in value ? value.content : value;
    return name.endsWith("_token") && typeof text === "string" ? [[name, text] as const] : [];
  });
  return Object.fromEntries(tokens);
}

/** Any text works, since special tokens do not depend on it. */
const probe = "a";

/** How many special tokens end a text whose tokens are `whole` with special tokens and `plain` without. */
function endingOf(whole: readonly number[], plain: readonly number[]): number {
  const start = whole.findIndex((_, at) => plain.every((id, i) => whole[at + i] === id));
  return plain.length === 0 || start < 0 ? 0 : whole.length - start - plain.length;
}

/**
 * ByteLevel's pattern is built into the libraries. The reference library uses Unicode's white space; this one uses JavaScript's
 * \s, which has U+FEFF too and lacks U+0085.
 */
function correctSpaces(splitter: LibrarySplitter): void {
  splitter.tokenizers?.forEach(correctSpaces);
  if (splitter.config?.type === "ByteLevel") splitter.pattern = wordsOfGpt2;
}

/** The words of GPT-2 (Radford et al. 2019). */
const wordsOfGpt2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/**
 * Decodes byte tokens (byte fallback of SentencePiece) like the reference library: if the bytes together are UTF-8, as that
 * text, including a byte order mark; otherwise as one U+FFFD per byte. This library drops the mark and emits one U+FFFD per
 * broken character.
 */
function correctBytes(decoder: LibraryDecoder): void {
  decoder.decoders?.forEach(correctBytes);
  if (decoder.config.type === "ByteFallback") decoder.text_decoder = { decode: decodeBytes };
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

function decodeBytes(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return "\ufffd".repeat(bytes.length);
  }
}

/** Null for a file that is not there. */
async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

async function readObject(path: string): Promise<object | null> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch (cause) {
    throw new SteplogError("MODEL_INVALID", `${path} is not JSON.`, [], { cause });
  }
  throw new SteplogError("MODEL_INVALID", `${path} is not a JSON object.`);
}
