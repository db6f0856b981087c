/**
 * What tokenizer_config.json and its older companions change in a tokenizer.json, as transformers 5.18 does it in
 * TokenizersBackend: tokens that only they have are added. It does not read add_bos_token and add_eos_token beside a
 * tokenizer.json, whose post-processor decides.
 */
import { z } from "zod";
import type { AddedToken } from "./added-tokens.ts";
import type { Changes } from "./pipeline.ts";

export interface ConfigFiles {
  readonly tokenizer: object;
  readonly config: object;
  /** added_tokens.json and special_tokens_map.json: read only if the config has no added_tokens_decoder. */
  readonly addedTokens: object | null;
  readonly specialTokensMap: object | null;
}

const flag = z.boolean().default(false);
const tokenSchema = z.object({
  content: z.string(),
  single_word: flag,
  lstrip: flag,
  rstrip: flag,
  normalized: z.boolean().optional(),
  special: flag,
});

const configSchema = z.object({
  added_tokens_decoder: z.record(z.string(), tokenSchema).nullish(),
  split_special_tokens: z.boolean().nullish(),
  tokenizer_class: z.string().nullish(),
  add_prefix_space: z.boolean().nullish(),
});

const namedToken = z.union([z.string(), tokenSchema]);
const listed = z.union([z.array(namedToken), z.record(z.string(), namedToken)]);

/** @throws if a token has no content or a property of another type */
export function changesOf(files: ConfigFiles): Changes {
  const config = configSchema.parse(files.config);
  const decoder = config.added_tokens_decoder;
  const named = decoder ? files.config : { ...files.config, ...files.specialTokensMap };
  const special = specialTokens(named);
  const listedTokens = decoder ? byId(decoder) : olderTokens(files, special);
  const known = new Map(listedTokens.map((token) => [token.content, token]));
  // A special token that is only named takes its properties from a list that has it.
  const specials = special.map((token) => ({ ...(known.get(token.content) ?? token), special: true }));
  return {
    tokens: [...listedTokens, ...specials],
    splitSpecial: config.split_special_tokens ?? false,
    prefixSpace: prefixing.has(config.tokenizer_class ?? "") ? (config.add_prefix_space ?? false) : null,
  };
}

/** Classes of transformers that set ByteLevel's add_prefix_space from the config, whatever tokenizer.json says. */
const prefixing = new Set(["GPT2Tokenizer", "GPT2TokenizerFast", "RobertaTokenizer", "RobertaTokenizerFast"]);

/** The texts of bos_token and the like, which are strings or objects with a content. */
export function tokenTexts(config: object): Record<string, string> {
  return Object.fromEntries(namedTokens(config).map(([name, { content }]) => [name, content]));
}

const byId = (decoder: Record<string, z.infer<typeof tokenSchema>>): AddedToken[] =>
  Object.entries(decoder)
    .toSorted(([a], [b]) => Number(a) - Number(b))
    .map(([, token]) => complete(token));

const complete = (token: z.infer<typeof tokenSchema>): AddedToken => ({
  ...token,
  normalized: token.normalized ?? !token.special,
});

function namedTokens(config: object): [name: string, token: AddedToken][] {
  return Object.entries(config).flatMap(([name, value]: [string, unknown]): [string, AddedToken][] => {
    const token = name.endsWith("_token") ? namedToken.safeParse(value).data : undefined;
    return token === undefined ? [] : [[name, specialToken(token)]];
  });
}

const specialToken = (token: z.infer<typeof namedToken>): AddedToken =>
  typeof token === "string" ? { ...plain, content: token } : { ...complete(token), special: true };

const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };

/** Those that have a name, in the order of transformers, then those of a list. */
function specialTokens(config: object): AddedToken[] {
  const fields = new Map<string, unknown>(Object.entries(config));
  const extra = fields.get("extra_special_tokens") ?? fields.get("additional_special_tokens");
  const more = listed.safeParse(extra).data ?? [];
  const named = new Map(namedTokens(config));
  const ordered = [
    ...order.filter((name) => named.has(name)),
    ...[...named.keys()].filter((name) => !order.includes(name)),
  ];
  return [...ordered.flatMap((name) => named.get(name) ?? []), ...Object.values(more).map(specialToken)];
}

const order = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/** Before added_tokens_decoder: added_tokens.json maps texts to ids, and tokenizer.json has the properties of its own. */
function olderTokens({ tokenizer, addedTokens }: ConfigFiles, special: readonly AddedToken[]): AddedToken[] {
  const isSpecial = new Set(special.map(({ content }) => content));
  const texts = Object.entries(addedTokens ?? {})
    .toSorted(([, a], [, b]) => Number(a) - Number(b))
    .map(([content]) => content);
  const older = texts.map((content) => {
    const known = isSpecial.has(content);
    return { ...plain, content, special: known, normalized: !known };
  });
  const own = "added_tokens" in tokenizer ? z.array(tokenSchema).parse(tokenizer.added_tokens).map(complete) : [];
  const ownTexts = new Set(own.map(({ content }) => content));
  return [...older.filter(({ content }) => !ownTexts.has(content)), ...own];
}
