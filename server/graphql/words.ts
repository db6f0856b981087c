/** Words that a model chooses between, as inputs give them. */
import { z } from "zod";
import { limits } from "../../schema/limits.ts";

/** A word that is there twice would be scored twice and chosen once. */
const words = z
  .array(z.string().min(1).max(limits.nameLength))
  .max(limits.labelWords)
  .superRefine((given, context) => {
    const again = given.findIndex((word, index) => given.indexOf(word) < index);
    if (again < 0) return;
    const word = given[again] ?? "";
    const first = given.indexOf(word);
    const message = `is ${JSON.stringify(word)}, as the one at ${first} is (the first is at 0); leave one out`;
    context.addIssue({ code: "custom", path: [again], message });
  });

export const wordRules = {
  labels: words.min(2),
  /** None is the same as leaving them out. That one is empty is said by itself. */
  labelWords: words
    .refine(
      ({ length, 0: word }) => length !== 1 || word === "",
      "has one word, which leaves nothing to choose; give two or more, or none",
    )
    .nullish(),
};
