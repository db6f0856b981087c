/** A client of a service: completions by the OpenAI protocol, streamed, and what it saw of their pace. */
import { type IncomingMessage, request } from "node:http";
import { text as whole } from "node:stream/consumers";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";

/** One answer: when it was asked for, when its first and its last token came, in milliseconds of performance.now(). */
export interface Answer {
  readonly asked: number;
  readonly first: number;
  readonly last: number;
  readonly tokens: number;
}

/** Seconds to the first token, and seconds per later token. */
export const firstOf = ({ asked, first }: Answer) => (first - asked) / 1000;
export const tokenOf = ({ first, last, tokens }: Answer) => (last - first) / 1000 / (tokens - 1);

/** Tokens per second from the first question to the last answer, prompts included. */
export function rateOf(answers: readonly Answer[]): number {
  const start = Math.min(...answers.map(({ asked }) => asked));
  const end = Math.max(...answers.map(({ last }) => last));
  return answers.reduce((total, { tokens }) => total + tokens, 0) / ((end - start) / 1000);
}

export interface Question {
  readonly model: string;
  readonly prompt: readonly number[];
  /** At most. */
  readonly tokens: number;
}

const chunk = z.object({
  choices: z.array(z.object({ text: z.string() })),
  usage: z.object({ completion_tokens: z.int() }).nullish(),
});

/** One streamed completion, greedy. @throws SteplogError UNAVAILABLE if the service answers anything but tokens */
export async function ask(url: string, { model, prompt, tokens: most }: Question): Promise<Answer> {
  const asked = performance.now();
  const response = await post(`${url}/v1/completions`, {
    model,
    prompt,
    max_tokens: most,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  });
  if (response.statusCode !== 200)
    throw new SteplogError("UNAVAILABLE", `The service answered ${response.statusCode}: ${await whole(response)}`);
  let first: number | null = null;
  let last = 0;
  let tokens = 0;
  let rest = "";
  for await (const text of response.setEncoding("utf8")) {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const { choices, usage } = chunk.parse(JSON.parse(line.slice("data: ".length)));
      if (choices.length > 0) first ??= performance.now();
      if (choices.length > 0) last = performance.now();
      tokens = usage?.completion_tokens ?? tokens;
    }
  }
  if (first === null || tokens === 0) throw new SteplogError("UNAVAILABLE", "The answer has no tokens.");
  return { asked, first, last, tokens };
}

/** Without fetch, whose streams take as much from the passes as the gateway does for the same chunks. */
function post(url: string, body: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers: { "content-type": "application/json" } }, resolve);
    sent.on("error", reject).end(JSON.stringify(body));
  });
}

/** GraphQL. @throws SteplogError INTERNAL with the service's errors */
export async function graphql<Schema extends z.ZodType>(
  url: string,
  query: string,
  variables: object,
  schema: Schema,
): Promise<z.output<Schema>> {
  const answer = await fetch(`${url}/graphql`, {
    method: "POST",
    body: JSON.stringify({ query, variables }),
    headers: { "content-type": "application/json" },
  });
  const { data, errors } = (await answer.json()) as { readonly data?: unknown; readonly errors?: unknown };
  if (errors !== undefined) throw new SteplogError("INTERNAL", `The service refused: ${JSON.stringify(errors)}`);
  return schema.parse(data);
}
