/**
 * A tokenizer.json at work, as the reference library runs it (Hugging Face tokenizers, in Rust): added tokens are found, the
 * rest is normalised and cut into words, the model cuts words into tokens, and special tokens are put around. Kinds that it
 * does not have are refused by name: a text that is cut otherwise trains another model than the user has.
 */
import { z } from "zod";
import { type AddedToken, addTokens, sectionsOf, writtenForm } from "./added-tokens.ts";
import { bpeOf, bpeSchema } from "./bpe.ts";
import { bytesReaderOf, decoderOf } from "./decoders.ts";
import { type Kinds, kind, partOf } from "./kinds.ts";
import type { Model } from "./model.ts";
import { normalizerOf } from "./normalizers.ts";
import { type Surroundings, surroundingsOf } from "./post-processors.ts";
import { preTokenizerOf } from "./pre-tokenizers.ts";
import { unigramOf, unigramSchema } from "./unigram.ts";
import { wordLevelOf, wordLevelSchema, wordPieceOf, wordPieceSchema } from "./words.ts";

export interface Pipeline {
  /** @throws MODEL_INVALID if the text needs an unknown token that the vocabulary lacks */
  readonly encode: (text: string) => number[];
  /** The special tokens around a whole sequence. */
  readonly around: Surroundings;
  /** The token of what the vocabulary lacks; null if there is none. */
  readonly unknown: number | null;
  /** Without special tokens if `skipSpecial`; ids without a token are left out. */
  readonly decode: (ids: readonly number[], skipSpecial: boolean) => string;
  /** The bytes of a token that may be part of a character; null for one that is characters, or special. */
  readonly bytesOf: (id: number) => readonly number[] | null;
  /** The text of a special token; undefined for other tokens. */
  readonly specialText: (id: number) => string | undefined;
}

/** What tokenizer_config.json changes. */
export interface Changes {
  /** Added after those of tokenizer.json. */
  readonly tokens: readonly AddedToken[];
  /** Special tokens in a text are split like any other text. */
  readonly splitSpecial: boolean;
  /** add_prefix_space of a ByteLevel pre-tokenizer, in place of the file's; null to keep that. */
  readonly prefixSpace: boolean | null;
}

const addedToken = z.object({
  content: z.string(),
  single_word: z.boolean(),
  lstrip: z.boolean(),
  rstrip: z.boolean(),
  normalized: z.boolean(),
  special: z.boolean(),
});

const tokenizerSchema = z.object({
  added_tokens: z.array(addedToken).default([]),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  post_processor: z.unknown(),
  decoder: z.unknown(),
  model: z.record(z.string(), z.unknown()),
});

/** @throws with the part and what is wrong with it */
export function pipelineOf(tokenizer: unknown, changes: Changes): Pipeline {
  const json = part("tokenizer", tokenizer, (value) => tokenizerSchema.parse(value));
  const model = part("model", json.model, modelOf);
  const normalizer = optionalPart("normalizer", json.normalizer, normalizerOf);
  const preTokenizer = optionalPart("pre_tokenizer", withPrefix(json.pre_tokenizer, changes), preTokenizerOf);
  const decoder = optionalPart("decoder", json.decoder, decoderOf);
  const added = addTokens([...json.added_tokens, ...changes.tokens], model.vocabulary);
  const sections = part("added_tokens", added, () => sectionsOf(added, normalizer, changes.splitSpecial));
  const readBytes = bytesReaderOf(json.decoder);
  const written = new Map([...added.tokens].map(([id, token]) => [id, writtenForm(token, normalizer)]));
  const around = optionalPart("post_processor", json.post_processor, surroundingsOf);
  return {
    encode: (text) => {
      const ids: number[] = [];
      for (const section of sections(text)) {
        if ("id" in section) ids.push(section.id);
        else
          for (const word of preTokenizer?.(section.piece) ?? [section.piece])
            if (word.text) model.encode(word.text, ids);
      }
      return ids;
    },
    around: around ?? { before: [], after: [] },
    unknown: unknownOf(json.model, model),
    decode: (ids, skipSpecial) => {
      const texts = ids.flatMap((id) => written.get(id) ?? model.vocabulary.tokenOf(id) ?? []);
      const shown = skipSpecial ? texts.filter((text) => !added.special.has(text)) : texts;
      return decoder ? decoder(shown).join("") : shown.join(" ");
    },
    bytesOf: (id) => {
      const text = written.has(id) ? undefined : model.vocabulary.tokenOf(id);
      return text === undefined ? null : readBytes(text);
    },
    specialText: (id) => {
      const token = added.tokens.get(id);
      return token?.special ? token.content : undefined;
    },
  };
}

function withPrefix(preTokenizer: unknown, { prefixSpace }: Changes): unknown {
  const { success, data } = z.looseObject({ type: z.literal("ByteLevel") }).safeParse(preTokenizer);
  return success && prefixSpace !== null ? { ...data, add_prefix_space: prefixSpace } : preTokenizer;
}

/** Unigram gives its number, the others its text. */
function unknownOf({ unk_id: id, unk_token: token }: Readonly<Record<string, unknown>>, model: Model): number | null {
  if (typeof id === "number") return id;
  return (typeof token === "string" ? model.vocabulary.idOf(token) : undefined) ?? null;
}

function optionalPart<T>(name: string, value: unknown, read: (value: unknown) => T): T | null {
  return value === null || value === undefined ? null : part(name, value, read);
}

function part<V, T>(name: string, value: V, read: (value: V) => T): T {
  try {
    return read(value);
  } catch (cause) {
    throw new Error(`${name}${kindOf(value)}: ${reasonOf(cause)}`, { cause });
  }
}

function kindOf(value: unknown): string {
  const named = typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
  return typeof named === "string" ? ` ${JSON.stringify(named)}` : "";
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof z.ZodError)) return cause instanceof Error ? cause.message : String(cause);
  const [issue] = cause.issues;
  const path = issue?.path.join(".") ?? "";
  return `${path === "" ? "" : `${path}: `}${issue?.message ?? "not valid"}`;
}

const models: Kinds<Model> = {
  BPE: kind(bpeSchema, bpeOf),
  Unigram: kind(unigramSchema, unigramOf),
  WordPiece: kind(wordPieceSchema, wordPieceOf),
  WordLevel: kind(wordLevelSchema, wordLevelOf),
};

/** @throws if the model is of another kind or lacks a field */
function modelOf(json: object): Model {
  return partOf(models, { type: kindOfUntyped(json), ...json });
}

/** Older files do not name the kind of their model. */
function kindOfUntyped(json: object): string {
  if ("merges" in json) return "BPE";
  if ("continuing_subword_prefix" in json) return "WordPiece";
  return "unk_token" in json ? "WordLevel" : "Unigram";
}
