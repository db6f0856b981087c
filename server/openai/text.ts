/** POST /v1/completions. */
import { randomUUID } from "node:crypto";
import type { RowScore, ScoreTask } from "../../schema/completion.ts";
import { attended, checkText, together, type Asking, type Checked } from "../completions.ts";
import { sendJson } from "../http/json.ts";
import { answeringByName } from "../targets.ts";
import { CompletionChunks, completionAnswer, type Echo } from "./completion-answer.ts";
import type { CompletionRequest, Prompt } from "./completion-request.ts";
import { type Dialect, type Exchange, writeStream, writeWhole, type Writing } from "./write.ts";

export async function answerText(exchange: Exchange, request: CompletionRequest): Promise<void> {
  const { asking } = exchange;
  const { model, prompts, echo, stream, maxTokens, ...wanted } = request;
  const answering = await answeringByName(asking.store, model, "model");
  const asked = prompts.map((prompt, index) => ({
    field: prompts.length === 1 ? "prompt" : `prompt.${index}`,
    asked: typeof prompt === "string" ? { text: prompt } : { tokens: prompt },
  }));
  const checked = await checkText(asking, answering, {
    ...wanted,
    maxTokens,
    usualTokens: maxTokens,
    prompts: asked,
    texts: echo,
  });
  const writing = { answering, tasks: checked.tasks, model, keep: false };
  const scores = echo && request.logprobs !== null ? await scorePrompts(asking, writing, request.logprobs) : null;
  const echoes = echo
    ? prompts.map((prompt, index) => echoOf(prompt, checked.asked.texts?.[index] ?? [], scores?.[index]))
    : [];
  const dialect = dialectOf(request, echoes);
  if (maxTokens === 0) return sendScored(exchange, writing, dialect);
  const write = stream ? writeStream : writeWhole;
  await write(exchange, writing, dialect);
}

function dialectOf({ n, includeUsage }: CompletionRequest, echoes: readonly Echo[]): Dialect {
  const echoBefore = (choice: number) => echoes[Math.floor(choice / n)] ?? null;
  return {
    prefix: "cmpl-",
    whole: (head, pieces, usage) => completionAnswer(head, pieces, usage, echoBefore),
    chunks: (head) => new CompletionChunks(head, includeUsage, echoBefore),
  };
}

/** Log-probabilities of each prompt's tokens after its first, which nothing comes before. */
async function scorePrompts(asking: Asking, { answering, tasks }: Writing, logprobs: number): Promise<RowScore[]> {
  return together(asking, tasks, async (each, { prompt }) => {
    const row = { prompt: prompt.slice(0, 1), completion: prompt.slice(1) };
    if (row.completion.length === 0) return [];
    const task: ScoreTask = { kind: "SCORE", rows: [row], logprobs, labels: null };
    const scoring: Checked = { task, prompt: [], isSeedDrawn: false };
    const { scores } = await attended(each, answering, scoring, { protocol: "OPENAI", keep: false });
    return scores?.[0] ?? [];
  });
}

function echoOf(prompt: Prompt, texts: readonly string[], score: RowScore | undefined): Echo {
  const text = typeof prompt === "string" ? prompt : texts.join("");
  return { text, tokens: score ? [{ text: texts[0] ?? "", logprob: null }, ...score] : null };
}

/** Prompts that were scored, with nothing after them: what programs that evaluate models ask for. */
function sendScored({ response }: Exchange, { tasks, model }: Writing, dialect: Dialect): void {
  const head = {
    id: `${dialect.prefix}${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model,
    fingerprint: null,
  };
  const pieces = tasks.flatMap(({ task }, index) =>
    Array.from({ length: task.n }, (_, choice) => ({ ...nothing, choice: index * task.n + choice })),
  );
  const promptTokens = tasks.reduce((sum, { prompt }) => sum + prompt.length, 0);
  sendJson(response, 200, dialect.whole(head, pieces, { promptTokens, cachedTokens: 0, completionTokens: 0 }));
}

const nothing = { firstToken: 0, tokens: [], text: "", logprobs: null, finish: "LENGTH" } as const;
