/** What is written of a completion, as it comes. */
import { z } from "zod";
import { SteplogError } from "../../../schema/errors.ts";
import { unpackTokens, type Rows, type ProjectStore, type WrittenPiece } from "../../../store/store.ts";
import { failureOf } from "../../completions.ts";
import { builder, queryCost } from "../builder.ts";
import { notFound } from "../lookup.ts";
import { CompletionRef } from "../nodes.ts";
import { FinishReasonRef, TokenLogProbabilityRef } from "./completion.ts";

const PieceRef = builder.objectRef<WrittenPiece>("CompletionPiece").implement({
  description: "Consecutive tokens of one choice.",
  fields: (t) => ({
    choice: t.exposeInt("choice", { description: "Number of the choice, from 0." }),
    text: t.exposeString("text", {
      description:
        "Text that has become certain: it may lag behind the tokens. Joined, the pieces of a choice are its text.",
    }),
    firstToken: t.exposeInt("firstToken", {
      description: "Number of the first of these tokens in the choice, from 0.",
    }),
    tokens: t.intList({ description: "The tokens.", resolve: ({ tokens }) => [...unpackTokens(tokens)] }),
    logprobs: t.field({
      type: [TokenLogProbabilityRef],
      nullable: true,
      description: "One per token; null unless they were asked for.",
      resolve: ({ logprobs }) => logprobs && [...logprobs],
    }),
    finishReason: t.field({
      type: FinishReasonRef,
      nullable: true,
      description: "Why the choice ended, in its last piece.",
      resolve: ({ finish }) => finish,
    }),
  }),
});

const PiecePayload = builder.objectRef<WrittenPiece>("CompletionPiecePayload").implement({
  description: "One piece of the stream.",
  fields: (t) => ({
    cursor: t.exposeInt("sequence", { description: "Pass it as `after` to continue after this piece." }),
    piece: t.field({ type: PieceRef, description: "The piece.", resolve: (piece) => piece }),
  }),
});

builder.subscriptionField("completionPieces", (t) =>
  t.field({
    type: PiecePayload,
    description:
      "What is written of a completion, every piece once and in order: first those already stored, then each new one. " +
      "Completes after the last piece of one that has ended; if it failed, with its error. The completion goes on when nobody " +
      "subscribes.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: CompletionRef, required: true, description: "The completion." }),
      after: t.arg.int({
        defaultValue: 0,
        description: "Cursor of the last piece that you have; 0 starts from the first.",
        validate: z.int().min(0).nullish(),
      }),
    },
    subscribe: async (_root, { id, after }, { store }) => {
      if (!(await store.completions.get(id.id)))
        notFound("id", "There is no completion with this id. It may have been deleted.");
      return withFailure(store, id.id, store.feed.pieces(id.id, { after: after ?? 0 }));
    },
    resolve: (piece) => piece,
  }),
);

/** The same rows; their end is an error if the completion failed. */
function withFailure(store: ProjectStore, id: string, pieces: Rows<WrittenPiece>): Rows<WrittenPiece> {
  let left = false;
  return {
    async next() {
      const next = await pieces.next();
      if (!next.done || left) return next;
      const completion = await store.completions.get(id);
      const failure = completion && failureOf(completion);
      if (failure) throw new SteplogError(failure.code, failure.message, failure.issues);
      return next;
    },
    return() {
      left = true;
      return pieces.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
