/** The messages of a chat request, as the model's chat template takes them. */
import { z } from "zod";
import { parseMessages, type Message } from "../../dataset/message.ts";
import { quote } from "../../dataset/issues.ts";
import { limits } from "../../schema/limits.ts";

/** Fields of answers that clients send back as they got them, or as their helpers made them. They say nothing to a template. */
const echoed = {
  refusal: z.null("must be null: models here have no refusals apart from their text").optional(),
  annotations: z.tuple([], "must be an empty list").nullish(),
  audio: z.null("must be null: models here read and write text").optional(),
  function_call: z.null("must be null: use tool_calls").optional(),
  parsed: z.unknown().optional(),
};

const call = z
  .strictObject({
    id: z.string(),
    type: z.literal("function", 'must be "function"'),
    function: z.strictObject({
      name: z.string(),
      arguments: z.string().transform(readArguments),
      parsed_arguments: z.unknown().optional(),
    }),
    index: z.int().optional(),
  })
  .transform(({ id, type, function: { name, arguments: given } }) => ({
    id,
    type,
    function: { name, arguments: given },
  }));

const message = z
  .strictObject({
    role: z.enum(["system", "developer", "user", "assistant", "tool"]),
    // `parseMessages` reads it.
    content: z.unknown().optional(),
    name: z.string().nullish(),
    tool_calls: z.array(call).nullish(),
    tool_call_id: z.string().nullish(),
    reasoning_content: z.string().nullish(),
    ...echoed,
  })
  .superRefine(({ role, content, tool_call_id: answered }, context) => {
    if (role === "tool" && !answered)
      context.addIssue({ code: "custom", path: ["tool_call_id"], message: "must name the call that the tool answers" });
    for (const [index, part] of partsOf(content).entries()) {
      const { type } = part;
      const unknown = Object.keys(part).find((key) => key !== "type" && key !== "text");
      const path = ["content", index];
      if (typeof type === "string" && type !== "text")
        context.addIssue({
          code: "custom",
          path: [...path, "type"],
          message: `is ${quote(type)}; models here read only text`,
        });
      else if (unknown !== undefined)
        context.addIssue({ code: "unrecognized_keys", keys: [unknown], path, input: part });
    }
  });

function partsOf(content: unknown): Readonly<Record<string, unknown>>[] {
  const { data } = z.array(z.record(z.string(), z.unknown())).safeParse(content);
  return data ?? [];
}

export const messages = z
  .array(message)
  .max(limits.turns)
  .transform((turns, context): readonly Message[] => {
    const parsed = parseMessages(turns.map(written));
    if ("messages" in parsed) return parsed.messages;
    for (const { field = "messages", message: said } of parsed.issues)
      context.addIssue({ code: "custom", path: field.split(".").slice(1), message: withoutField(said) });
    return z.NEVER;
  });

/** Without what only clients read. Templates ask whether a field is there, so null is as if left out. */
function written(turn: z.infer<typeof message>): object {
  const said = Object.entries(turn).filter(([field, value]) => !(field in echoed) && value !== null);
  return Object.fromEntries(said.filter(([field, value]) => field !== "tool_calls" || !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** Templates write the arguments themselves, from an object. */
function readArguments(text: string, context: z.RefinementCtx): unknown {
  try {
    const value: unknown = JSON.parse(text === "" ? "{}" : text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // The same issue as for JSON of another kind.
  }
  context.addIssue({ code: "custom", message: "must be a JSON object, as text" });
  return z.NEVER;
}

/** Issues of rows start with their field, which is said already. */
function withoutField(said: string): string {
  return said.replace(/^"[^"]*": /u, "");
}
