/**
 * The tokenizer of a folder that has vocab.json and merges.txt instead of tokenizer.json, as the first releases of GPT-2, OPT
 * and RoBERTa do: byte-level BPE with the special tokens of the other files. It is built like transformers' GPT2Tokenizer and
 * RobertaTokenizer, as a tokenizer.json.
 */
import { join } from "node:path";
import { z } from "zod";
import { SteplogError } from "../schema/errors.ts";
import { modelTextBytes, readModelText } from "./model-text.ts";

type TokenizerClass = "gpt2" | "roberta";

const names = { vocabulary: "vocab.json", merges: "merges.txt" };

export interface BuiltTokenizer {
  /** As a tokenizer.json has it. */
  readonly tokenizer: object;
  /** The text of the mask, if there is one. */
  readonly mask: string | undefined;
}

/** Null if the folder lacks one of the files, or says that they are for another kind of tokenizer. @throws MODEL_INVALID */
export async function tokenizerOfVocabulary(folder: string): Promise<BuiltTokenizer | null> {
  const merges = await readModelText(join(folder, names.merges), modelTextBytes.tokenizer);
  const vocabulary = merges === null ? null : await readJson(folder, names.vocabulary, vocabularySchema);
  if (merges === null || vocabulary === null) return null;
  const config = (await readJson(folder, "tokenizer_config.json", configSchema)) ?? {};
  const kind = classOf(config.tokenizer_class, (await readJson(folder, "config.json", modelSchema))?.model_type);
  if (kind === null) return null;
  const special = await specialTokens(folder, kind, config);
  const added = addTokens(vocabulary, special.all);
  const processor = kind === "roberta" ? robertaProcessor : templateProcessor;
  const tokenizer = {
    ...commonParts,
    added_tokens: [...added.values()].toSorted((a, b) => a.id - b.id),
    pre_tokenizer: { ...byteLevel, add_prefix_space: config.add_prefix_space ?? false },
    post_processor: processor(special.named, added, config),
    decoder: { ...byteLevel, add_prefix_space: true },
    model: { ...plainBpe, vocab: vocabulary, merges: parseMerges(join(folder, names.merges), merges, vocabulary) },
  };
  return { tokenizer, mask: special.named.mask_token?.content };
}

const commonParts = { version: "1.0", truncation: null, padding: null, normalizer: null };
const byteLevel = { type: "ByteLevel", trim_offsets: true, use_regex: true };
const plainBpe = {
  type: "BPE",
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: "",
  end_of_word_suffix: "",
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
};

interface Token {
  readonly content: string;
  readonly single_word?: boolean | undefined;
  readonly lstrip?: boolean | undefined;
  readonly rstrip?: boolean | undefined;
  readonly normalized?: boolean | undefined;
  readonly special?: boolean | undefined;
}

const tokenSchema = z.union([
  z.string().transform((content): Token => ({ content, special: true })),
  z.object({
    content: z.string(),
    single_word: z.boolean().optional(),
    lstrip: z.boolean().optional(),
    rstrip: z.boolean().optional(),
    normalized: z.boolean().optional(),
    special: z.boolean().optional(),
  }),
]);

const vocabularySchema = z.record(z.string(), z.int().min(0));
const modelSchema = z.object({ model_type: z.unknown() });

/** The special tokens in the order in which transformers adds them. */
const roles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] as const;
type Role = (typeof roles)[number];

const namedTokens = Object.fromEntries(roles.map((role) => [role, tokenSchema.nullish()])) as Record<
  Role,
  z.ZodOptional<z.ZodNullable<typeof tokenSchema>>
>;

const extraTokens = {
  additional_special_tokens: z.array(tokenSchema).nullish(),
  extra_special_tokens: z.array(tokenSchema).nullish().catch(null),
};

const mapSchema = z.object({ ...namedTokens, ...extraTokens });

const configSchema = z.object({
  ...namedTokens,
  ...extraTokens,
  tokenizer_class: z.string().nullish(),
  add_prefix_space: z.boolean().optional(),
  trim_offsets: z.boolean().optional(),
  add_bos_token: z.boolean().optional(),
  add_eos_token: z.boolean().optional(),
  added_tokens_decoder: z.record(z.string(), tokenSchema).optional(),
});

type Config = z.output<typeof configSchema>;

/** By the tokenizer's class, else by the model's type. */
function classOf(named: string | null | undefined, modelType: unknown): TokenizerClass | null {
  if (typeof named === "string") {
    const plain = named.replace(/Fast$/u, "");
    return plain === "GPT2Tokenizer" ? "gpt2" : plain === "RobertaTokenizer" ? "roberta" : null;
  }
  if (modelType === "gpt2" || modelType === "opt") return "gpt2";
  return modelType === "roberta" ? "roberta" : null;
}

const defaults: Readonly<Record<TokenizerClass, Readonly<Partial<Record<Role, string>>>>> = {
  gpt2: { bos_token: "<|endoftext|>", eos_token: "<|endoftext|>", unk_token: "<|endoftext|>" },
  roberta: {
    bos_token: "<s>",
    eos_token: "</s>",
    unk_token: "<unk>",
    sep_token: "</s>",
    pad_token: "<pad>",
    cls_token: "<s>",
    mask_token: "<mask>",
  },
};

interface SpecialTokens {
  readonly named: Readonly<Partial<Record<Role, Token>>>;
  /** Every token to add, in order; a token that has several roles comes first as it was named first. */
  readonly all: readonly Token[];
}

/** Where files disagree, special_tokens_map.json counts, unless the config lists all added tokens, as newer ones do. */
async function specialTokens(folder: string, kind: TokenizerClass, config: Config): Promise<SpecialTokens> {
  const legacy = config.added_tokens_decoder === undefined;
  const map = legacy ? await readJson(folder, "special_tokens_map.json", mapSchema) : null;
  const ids = legacy ? await readJson(folder, "added_tokens.json", vocabularySchema) : null;
  const named: Partial<Record<Role, Token>> = {};
  for (const role of roles) {
    const given = map?.[role] === undefined ? config[role] : map[role];
    const fallback = defaults[kind][role];
    if (given) named[role] = { ...given, special: true };
    else if (given === undefined && fallback !== undefined) named[role] = { content: fallback, special: true };
  }
  const chosen = Object.values(named);
  const isSpecial = (text: string) => chosen.some(({ content }) => content === text);
  const listed = Object.entries(config.added_tokens_decoder ?? {}).toSorted(([a], [b]) => Number(a) - Number(b));
  const old = Object.entries(ids ?? {}).toSorted(([, a], [, b]) => a - b);
  const extra = map?.extra_special_tokens ?? map?.additional_special_tokens ?? extraOf(config) ?? [];
  return {
    named,
    all: [
      ...listed.map(([, token]) => ({ ...token, special: token.special ?? isSpecial(token.content) })),
      ...old.map(([content]) => ({ content, special: isSpecial(content), normalized: !isSpecial(content) })),
      ...chosen,
      ...extra.map((token) => ({ ...token, special: true })),
    ],
  };
}

function extraOf({ extra_special_tokens: extra, additional_special_tokens: additional }: Config) {
  return extra ?? additional;
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** Tokens that the vocabulary has keep their ids; others come after it. */
function addTokens(vocabulary: Readonly<Record<string, number>>, tokens: readonly Token[]): Map<string, AddedToken> {
  const added = new Map<string, AddedToken>();
  let next = Object.keys(vocabulary).length;
  for (const { content, single_word = false, lstrip = false, rstrip = false, special = false, normalized } of tokens) {
    if (added.has(content) || content === "") continue;
    const id = Object.hasOwn(vocabulary, content) ? (vocabulary[content] ?? next) : next++;
    added.set(content, { id, content, single_word, lstrip, rstrip, normalized: normalized ?? !special, special });
  }
  return added;
}

function robertaProcessor(
  { sep_token, cls_token }: SpecialTokens["named"],
  added: Map<string, AddedToken>,
  config: Config,
) {
  const pair = (token: Token | undefined) => [token?.content, added.get(token?.content ?? "")?.id];
  return {
    type: "RobertaProcessing",
    sep: pair(sep_token),
    cls: pair(cls_token),
    trim_offsets: config.trim_offsets ?? true,
    add_prefix_space: config.add_prefix_space ?? false,
  };
}

function templateProcessor(
  { bos_token, eos_token }: SpecialTokens["named"],
  added: Map<string, AddedToken>,
  config: Config,
) {
  const before = config.add_bos_token === true ? added.get(bos_token?.content ?? "") : undefined;
  const after = config.add_eos_token === true ? added.get(eos_token?.content ?? "") : undefined;
  const around = (sequence: "A" | "B", type: 0 | 1) => [
    ...(before ? [{ SpecialToken: { id: before.content, type_id: type } }] : []),
    { Sequence: { id: sequence, type_id: type } },
    ...(after ? [{ SpecialToken: { id: after.content, type_id: type } }] : []),
  ];
  const used = [before, after].flatMap((token) => (token ? [token] : []));
  return {
    type: "TemplateProcessing",
    single: around("A", 0),
    pair: [...around("A", 0), ...around("B", 1)],
    special_tokens: Object.fromEntries(
      used.map(({ id, content }) => [content, { id: content, ids: [id], tokens: [content] }]),
    ),
  };
}

/** One merge a line, two tokens with a space between. @throws MODEL_INVALID naming the line */
function parseMerges(path: string, text: string, vocabulary: Readonly<Record<string, number>>): [string, string][] {
  const lines = text.split(/\r?\n/u);
  if (lines.at(-1) === "") lines.pop();
  return lines.flatMap((line, index): [string, string][] => {
    if (line.startsWith("#version")) return [];
    const [first, second, ...more] = line.split(" ");
    const known = (token: string) => Object.hasOwn(vocabulary, token);
    if (first !== undefined && second !== undefined && more.length === 0) {
      if (known(first) && known(second) && known(first + second)) return [[first, second]];
    }
    const words = `line ${index + 1} is not two tokens of ${names.vocabulary} that make a third`;
    throw new SteplogError("MODEL_INVALID", `${path} cannot be used: ${words}.`);
  });
}

/** Null for a file that is not there. @throws MODEL_INVALID naming the field */
async function readJson<T extends z.ZodType>(folder: string, name: string, schema: T): Promise<z.output<T> | null> {
  const path = join(folder, name);
  const text = await readModelText(path, modelTextBytes.tokenizer);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SteplogError("MODEL_INVALID", `${path} is not JSON.`, [], { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SteplogError(
    "MODEL_INVALID",
    `${path} is wrong at ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}.`,
  );
}
