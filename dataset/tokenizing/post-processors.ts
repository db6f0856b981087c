/** The post-processors of tokenizer.json: the special tokens around a whole sequence. */
import { z } from "zod";
import { type Kinds, kind, partOf } from "./kinds.ts";

export interface Surroundings {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const pair = z.tuple([z.string(), z.int().nonnegative()]);
const pieceSchema = z.union([
  z.object({ SpecialToken: z.object({ id: z.string() }) }),
  z.object({ Sequence: z.object({ id: z.enum(["A", "B"]) }) }),
]);

const aroundSchema = z.object({ sep: pair, cls: pair });

const templateSchema = z.object({
  single: z.array(pieceSchema),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(z.int().nonnegative()) })),
});

const kinds: Kinds<Surroundings> = {
  ByteLevel: () => ({ before: [], after: [] }),
  BertProcessing: kind(aroundSchema, ({ cls, sep }) => ({ before: [cls[1]], after: [sep[1]] })),
  RobertaProcessing: kind(aroundSchema, ({ cls, sep }) => ({ before: [cls[1]], after: [sep[1]] })),
  TemplateProcessing: kind(templateSchema, template),
  Sequence: kind(z.object({ processors: z.array(z.unknown()) }), ({ processors }) =>
    processors
      .map(surroundingsOf)
      .reduce(
        (inner, outer) => ({ before: [...outer.before, ...inner.before], after: [...inner.after, ...outer.after] }),
        { before: [], after: [] },
      ),
  ),
};

/** @throws if the post-processor is of another kind, lacks a field or names a special token that it does not define */
export const surroundingsOf = (json: unknown): Surroundings => partOf(kinds, json);

function template({ single: pieces, special_tokens: tokens }: z.infer<typeof templateSchema>): Surroundings {
  const sequences = pieces.flatMap((piece, at) => ("Sequence" in piece ? [{ at, id: piece.Sequence.id }] : []));
  const [sequence, another] = sequences;
  if (sequence?.id !== "A" || another) throw new Error("the template for one sequence must have the sequence A once");
  const idsOf = (parts: typeof pieces) =>
    parts.flatMap((piece) => {
      if ("Sequence" in piece) return [];
      const { id } = piece.SpecialToken;
      const token = tokens[id];
      if (!token) throw new Error(`the template names ${JSON.stringify(id)}, which its special_tokens lack`);
      return token.ids;
    });
  return { before: idsOf(pieces.slice(0, sequence.at)), after: idsOf(pieces.slice(sequence.at + 1)) };
}
