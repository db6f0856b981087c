/** The request of this page as programs make it. Keys are never in it: programs read theirs from the environment. */
import type { ClassifyInput, CreateCompletionInput } from "../../../client/schema-types.ts";
import { canWrite } from "../../../schema/model-kind.ts";
import { baseUrl } from "../base.ts";
import { quoted } from "../parts/commands.ts";
import type { Asked } from "./answers.ts";
import { choiceInNode, choiceInPython } from "./label-code.ts";

interface Base {
  /** In tokens. */
  readonly contextLength: number;
  readonly family: string;
}

export interface Code {
  readonly name: string;
  readonly text: string;
}

/** @param base null if it is not known */
export function codesOf(asked: Asked, base: Base | null): readonly Code[] {
  const graphql = { name: "GraphQL", text: asGraphql(asked) };
  if (asked.kind === "CHOOSE")
    return [graphql, ...byOpenAi(asked.input, base), { name: "curl", text: curlOfGraphql(asked) }];
  const body = openAiBody(asked.input, base?.contextLength ?? null);
  return [
    graphql,
    { name: "Python", text: asPython(body) },
    { name: "Node", text: asNode(body) },
    { name: "curl", text: curlOf(body) },
  ];
}

/** None for a model that fills gaps in a text: it scores no text that is read from its beginning. */
function byOpenAi(input: ClassifyInput, base: Base | null): readonly Code[] {
  if (base && !canWrite(base)) return [];
  return [
    { name: "Python", text: choiceInPython(input) },
    { name: "Node", text: choiceInNode(input) },
  ];
}

const createMutation = `mutation ($input: CreateCompletionInput!) {
  createCompletion(input: $input) { completion { id seed } }
}`;
const piecesSubscription = `# then, over the WebSocket, with the id
subscription ($id: ID!) {
  completionPieces(id: $id, after: 0) { piece { text finishReason } }
}`;
const classifyMutation = `mutation ($input: ClassifyInput!) {
  classify(input: $input) { label scores { label score } }
}`;

function asGraphql({ kind, input }: Asked): string {
  const variables = `# variables\n${JSON.stringify({ input }, null, 2)}`;
  if (kind === "CHOOSE") return `${classifyMutation}\n\n${variables}`;
  return `${createMutation}\n\n${variables}\n\n${piecesSubscription}`;
}

interface OpenAiRequest {
  readonly path: "completions" | "chat/completions";
  readonly body: Readonly<Record<string, unknown>>;
}

/** What the API writes at most where nothing is said; the OpenAI protocol has another number there. */
const usualTokens = 256;

function openAiBody(input: CreateCompletionInput, context: number | null): OpenAiRequest {
  const { model, prompt, messages, temperature, topP, maxTokens, seed, stop } = input;
  const { topK, minP, repetitionPenalty, frequencyPenalty, presencePenalty } = input;
  // Room for the prompt, in a context that is shorter than that.
  const most = Math.min(usualTokens, Math.floor((context ?? Infinity) / 2));
  const all = {
    model: "name" in model ? model.name : null,
    prompt,
    messages,
    max_tokens: maxTokens ?? most,
    temperature,
    top_p: topP,
    frequency_penalty: frequencyPenalty,
    presence_penalty: presencePenalty,
    top_k: topK,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
    seed,
    stop,
    stream: true,
  };
  const body = Object.fromEntries(Object.entries(all).filter(([, value]) => value != null));
  return { path: messages ? "chat/completions" : "completions", body };
}

/** Fields that OpenAI's protocol lacks: its Python library refuses them by name. */
const extras: ReadonlySet<string> = new Set(["top_k", "min_p", "repetition_penalty"]);

/** JSON's texts, numbers, lists and objects are Python's too. */
function asPython({ path, body }: OpenAiRequest): string {
  const usual = Object.entries(body).filter(([name]) => !extras.has(name));
  const extra = Object.entries(body).filter(([name]) => extras.has(name));
  const named = extra.length > 0 ? [...usual, ["extra_body", Object.fromEntries(extra)] as const] : usual;
  const given = named.map(([name, value]) => `    ${name}=${value === true ? "True" : JSON.stringify(value)},`);
  const isChat = path === "chat/completions";
  return `import os
from openai import OpenAI

client = OpenAI(
    base_url=${JSON.stringify(`${baseUrl}/v1`)},
    api_key=os.environ.get("STEPLOG_API_TOKEN", "none"),
)
stream = client.${isChat ? "chat.completions" : "completions"}.create(
${given.join("\n")}
)
for chunk in stream:
    print(chunk.choices[0].${isChat ? 'delta.content or ""' : "text"}, end="", flush=True)
`;
}

function asNode({ path, body }: OpenAiRequest): string {
  const given = Object.entries(body).map(([name, value]) => `  ${name}: ${JSON.stringify(value)},`);
  const isChat = path === "chat/completions";
  return `import OpenAI from "openai";

const openai = new OpenAI({
  baseURL: ${JSON.stringify(`${baseUrl}/v1`)},
  apiKey: process.env.STEPLOG_API_TOKEN ?? "none",
});
const stream = await openai.${isChat ? "chat.completions" : "completions"}.create({
${given.join("\n")}
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0].${isChat ? 'delta.content ?? ""' : "text"});
`;
}

const headers = `-H "content-type: application/json" \\
  -H "authorization: Bearer $STEPLOG_API_TOKEN"`;

const curlOf = ({ path, body }: OpenAiRequest) =>
  `curl -sN ${baseUrl}/v1/${path} ${headers} \\
  -d ${quoted(JSON.stringify(body))}`;

const curlOfGraphql = ({ input }: Asked) =>
  `curl -s ${baseUrl}/graphql ${headers} \\
  -d ${quoted(JSON.stringify({ query: classifyMutation, variables: { input } }))}`;
