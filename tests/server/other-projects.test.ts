/**
 * Another project's key, at every field that takes an id and at every URL: the answer is that for an id that never was. So there
 * is no hint that something exists.
 */
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLOutputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isRequiredArgument,
  isRequiredInputField,
} from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import { schema } from "../../server/graphql/schema.ts";
import { fileRoutes } from "../../server/http/file-routes.ts";
import { openAIRoutes } from "../../server/openai/routes.ts";
import { newCompletion } from "../store/serving-fixtures.ts";
import { FakeLane } from "./fake-lane.ts";
import { askAs, everything, withoutIds } from "./everything.ts";
import { createDataset, globalId, rowId, type TestServer, testServer } from "./harness.ts";

let server: TestServer;
let lane: FakeLane;
/** Ids of the default project, by type. */
let theirs: Record<string, string>;
let key: string;
/** Of the project that asks. */
let ownDataset: string;

beforeAll(async () => {
  server = await testServer();
  lane = await FakeLane.start(server.store);
  theirs = await everything(server);
  const { administration } = server.store.of(operator);
  const { key: owner } = await administration.createKey({ name: "asks", scopes: ["infer"], expiresInS: null });
  theirs["Completion"] = await answer(owner, theirs["Checkpoint"] ?? expect.unreachable("there is one"));
  const { id } = await administration.createProject("other");
  const scopes = ["read", "write", "train", "infer", "admin"] as const;
  ({ key } = await administration.createKey({ name: "all of it", scopes, expiresInS: null, projectId: id }));
  ownDataset = await createDataset({ ask: askAs(server, key) });
});
afterAll(async () => {
  await lane.stop();
  await server.dispose();
});

async function answer(owner: string, checkpoint: string): Promise<string> {
  const query = "mutation ($input: CreateCompletionInput!) { createCompletion(input: $input) { completion { id } } }";
  const input = { model: { checkpoint }, prompt: "It was", maxTokens: 1 };
  const data = await askAs(server, owner)<{ createCompletion: { completion: { id: string } } }>(query, { input });
  return data.createCompletion.completion.id;
}

// Fields that take an id

interface IdPlace {
  readonly operation: "query" | "mutation" | "subscription";
  readonly field: GraphQLField<unknown, unknown>;
  /** Names that lead from the field's arguments to the id. */
  readonly path: readonly string[];
}

/** To share with a project one must name it, and its people gave the id away for that. */
const namesProject = ({ field, path }: IdPlace) => /^(?:un)?share/u.test(field.name) && path[0] === "project";

const everyPlace: IdPlace[] = (["query", "mutation", "subscription"] as const).flatMap((operation) => {
  const type = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  };
  return Object.values(type[operation]?.getFields() ?? {}).flatMap((field) =>
    field.args.flatMap((argument) => pathsIn(argument).map((path) => ({ operation, field, path }))),
  );
});

/** Base models are everybody's, and only an operator deletes one. */
const namesModel = ({ field }: IdPlace) => field.name === "deleteBaseModel";

const idPlaces = everyPlace.filter((place) => !namesProject(place) && !namesModel(place));

function pathsIn({ name, type }: GraphQLArgument | GraphQLInputField, depth = 0): string[][] {
  const named = getNamedType(type);
  if (named.name === "ID") return [[name]];
  if (!isInputObjectType(named) || depth > 3) return [];
  return Object.values(named.getFields()).flatMap((field) => pathsIn(field, depth + 1).map((path) => [name, ...path]));
}

/** What an input needs besides its required fields before anything is looked up. */
const extras = (wanted: string | undefined): Readonly<Record<string, object>> => ({
  ModelInput: { name: "bytes" },
  CreateCompletionInput: { prompt: "x" },
  ClassifyInput: { prompts: ["x"], labels: ["a", "b"] },
  CreateEvaluationInput: { dataset: ownDataset },
  CreateFineTuneInput: { ...modelBeside(wanted), dataset: ownDataset },
  PreviewRowsInput: modelBeside(wanted),
  ExpiryInput: { ttl: 60 },
  ScoreInput: { rows: [{ prompt: "x", completion: "y" }] },
  ContinueFineTuneInput: { steps: 1 },
  SweepVariationInput: { list: [{}] },
});

/** A model, unless the id is to name one. */
const modelBeside = (wanted: string | undefined) =>
  wanted === "from" || wanted === "checkpoint" ? {} : { baseModel: "bytes" };

/** Arguments with an id at a place, and otherwise what is required. */
function argumentsOf({ field, path }: IdPlace, id: string): Record<string, unknown> {
  const [first, ...rest] = path;
  const wanted = field.args.filter((argument) => argument.name === first || isRequiredArgument(argument));
  return Object.fromEntries(
    wanted.map((argument) => [argument.name, valueOf(argument.type, argument.name === first ? rest : null, id)]),
  );
}

function valueOf(type: GraphQLInputType, path: readonly string[] | null, id: string): unknown {
  if (isNonNullType(type)) return valueOf(type.ofType, path, id);
  if (isListType(type)) return [valueOf(type.ofType, path, id)];
  const named = getNamedType(type);
  if (isInputObjectType(named)) {
    const [first, ...rest] = path ?? [];
    const extra = extras(first)[named.name] ?? {};
    const isNeeded = (field: GraphQLInputField) =>
      isRequiredInputField(field) && !named.isOneOf && !(field.name in extra);
    const fields = Object.values(named.getFields()).filter((field) => field.name === first || isNeeded(field));
    const values = fields.map(
      (field) => [field.name, valueOf(field.type, field.name === first ? rest : null, id)] as const,
    );
    if (named.isOneOf) return values.length > 0 ? Object.fromEntries(values) : extra;
    return { ...extra, ...Object.fromEntries(values) };
  }
  if (isEnumType(named)) return named.getValues()[0]?.name;
  if (named.name === "ID") return path === null ? theirs["Project"] : id;
  return { Int: 1, Float: 1, Boolean: true, SafeInt: 1, Date: "2026-01-31" }[named.name] ?? "x";
}

/** Leaves of the answer, and of what is in it. */
function selectionOf(type: GraphQLOutputType, depth = 0): string {
  const named = getNamedType(type);
  if (isLeafType(named)) return "";
  if (!("getFields" in named)) return "{ __typename }";
  const fields = Object.values(named.getFields()).filter((field) => !field.args.some(isRequiredArgument));
  const leaves = fields.filter((field) => isLeafType(getNamedType(field.type))).map((field) => field.name);
  const deeper = fields
    .filter(
      (field) =>
        !isLeafType(getNamedType(field.type)) && depth < 1 && !getNamedType(field.type).name.endsWith("Connection"),
    )
    .map((field) => `${field.name} ${selectionOf(field.type, depth + 1)}`);
  return `{ ${["__typename", ...leaves, ...deeper].join(" ")} }`;
}

async function asked(place: IdPlace, id: string, by: string | null): Promise<string> {
  const { operation, field } = place;
  const given = argumentsOf(place, id);
  const variables = field.args.filter(({ name }) => name in given).map(({ name, type }) => `$${name}: ${String(type)}`);
  const passed = Object.keys(given).map((name) => `${name}: $${name}`);
  const query = `${operation} (${variables.join(", ")}) { ${field.name}(${passed.join(", ")}) ${selectionOf(field.type)} }`;
  const gone = new AbortController();
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: operation === "subscription" ? "text/event-stream" : "application/json",
      ...(by !== null && { authorization: `Bearer ${by}` }),
    },
    body: JSON.stringify({ query, variables: given }),
    signal: gone.signal,
  });
  const text = operation === "subscription" ? await firstEvent(response) : await response.text();
  gone.abort();
  return withoutIds(text, id);
}

async function firstEvent(response: Response): Promise<string> {
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (/"(?:errors|data)"/u.test(text)) break;
  }
  return text;
}

const never = (id: string) => globalId(Buffer.from(id, "base64").toString().split(":")[0] ?? "", crypto.randomUUID());

/** Whether a field has looked for what its id names, or is an operator's: a refusal for another reason proves nothing. */
function saysNothingIsThere(text: string, field: string): boolean {
  if (text.includes('"errors"')) return /"code":"(?:NOT_FOUND|FORBIDDEN)"/u.test(text);
  const own = new RegExp(`"data":\\{"${field}":(?:null|\\[null\\]|false|\\{[^{]*"totalCount":0,)`, "u");
  return own.test(text);
}

describe("every field that takes an id", () => {
  const found: string[] = [];

  test.each(
    idPlaces.map((place) => [`${place.operation} ${place.field.name}(${place.path.join(".")})`, place] as const),
  )("%s", async (name, place) => {
    let looksUp = false;
    for (const id of Object.values(theirs)) {
      const ofTheirs = await asked(place, id, key);
      const ofNever = await asked(place, never(id), key);
      expect(ofTheirs).toBe(ofNever);
      looksUp ||= saysNothingIsThere(ofTheirs, place.field.name);
    }
    if (looksUp) found.push(name);
  });

  test("and each of them does look something up", () => {
    const all = idPlaces.map(({ operation, field, path }) => `${operation} ${field.name}(${path.join(".")})`);
    expect(all.filter((name) => !found.includes(name))).toEqual([]);
    expect(all.length).toBeGreaterThan(30);
  });
});

test("lists have nothing of others", async () => {
  const lists = Object.values(schema.getQueryType()?.getFields() ?? {}).filter(
    (field) => !field.args.some(isRequiredArgument) && field.name !== "workers" && field.name !== "viewer",
  );
  for (const field of lists) {
    const isPaged = getNamedType(field.type).name.endsWith("Connection");
    const inner = isPaged ? "{ totalCount edges { cursor node { __typename } } }" : selectionOf(field.type);
    const response = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ query: `{ ${field.name} ${inner} }` }),
    });
    const text = await response.text();
    for (const id of Object.values(theirs)) for (const one of [id, rowId(id)]) expect(text).not.toContain(one);
    const { data } = JSON.parse(text) as { data: Record<string, { totalCount: number; edges: unknown[] }> };
    if (isPaged) expect(data[field.name]?.totalCount).toBe(data[field.name]?.edges.length);
  }
});

test("neither the beginning of an id nor a name finds anything of others, and both find the own", async () => {
  const found = async (by: string, type: string, text: string) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${by}` },
      body: JSON.stringify({
        query: "query ($type: FindableType!, $text: String!) { find(type: $type, text: $text) { id } }",
        variables: { type, text },
      }),
    });
    const { data, ...rest } = (await response.json()) as { data: { find: { id: string }[] } | null };
    return data?.find.map(({ id }) => id) ?? expect.unreachable(JSON.stringify(rest));
  };
  const { administration } = server.store.of(operator);
  const own = await administration.createKey({ name: "reads", scopes: ["read"], expiresInS: null });
  const types = { FINE_TUNE: "FineTune", CHECKPOINT: "Checkpoint", DATASET: "Dataset", EVALUATION: "ModelEvaluation" };
  for (const [type, name] of Object.entries(types)) {
    const id = theirs[name] ?? expect.unreachable("there is one");
    for (const text of [rowId(id), rowId(id).slice(0, 8), rowId(id).slice(0, 4).toUpperCase()]) {
      expect(await found(own.key, type, text)).toContain(id);
      expect(await found(key, type, text)).not.toContain(id);
    }
    expect(await found(own.key, type, rowId(id).slice(0, 3))).toEqual([]);
  }
  const run = (await server.store.fineTunes.get(rowId(theirs["FineTune"] ?? ""))) ?? expect.unreachable("it is there");
  expect(await found(own.key, "FINE_TUNE", run.name)).toContain(theirs["FineTune"]);
  expect(await found(key, "FINE_TUNE", run.name)).toEqual([]);
});

describe("every URL", () => {
  /** Names of parts that are no ids: those of files that there could be. */
  const named: Readonly<Record<string, string>> = { form: "merged", name: "model.safetensors" };
  const filled = (path: string, id: string) =>
    path.replaceAll(/:(\w+)/gu, (_, part: string) => (part === "id" || part === "model" ? id : (named[part] ?? "")));
  const urls = () => [
    ...fileRoutes.map(({ path, type }) => ["GET", type, (id: string) => filled(path, id)] as const),
    ...openAIRoutes
      .filter(({ path }) => path.includes(":model"))
      .flatMap(({ method, path }) =>
        ["Checkpoint", "FineTune"].map((type) => [method, type, (id: string) => filled(path, id)] as const),
      ),
    ["GET", "Checkpoint", (id: string) => `/v1/models?after=${encodeURIComponent(id)}`] as const,
  ];
  const status = async (method: string, path: string, id: string, headers: object = {}) => {
    const response = await fetch(`${server.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...headers },
    });
    return `${response.status} ${withoutIds(await response.text(), id)}`;
  };

  test("answers as for an id that never was", async () => {
    for (const [method, type, path] of urls()) {
      const id = theirs[type] ?? expect.unreachable(type);
      const other = never(id);
      const ofTheirs = await status(method, path(id), id);
      expect(ofTheirs).toBe(await status(method, path(other), other));
      expect(ofTheirs).toMatch(/^404 /u);
      const row = rowId(id);
      expect(await status(method, path(row), id)).toMatch(/^404 /u);
    }
  });

  test("and so do stored chat completions, read or deleted", async () => {
    const { id } = await newCompletion(server.store, { protocol: "OPENAI", baseModelId: server.model.id });
    for await (const _ of server.store.feed.pieces(id, { after: 0 }));
    const stored = openAIRoutes.filter(({ path }) => path.includes(":id"));
    expect(stored.length).toBeGreaterThan(1);
    const { administration } = server.store.of(operator);
    const { key: owner } = await administration.createKey({ name: "own", scopes: ["infer"], expiresInS: null });
    const other = crypto.randomUUID();
    for (const { method, path: template } of stored) {
      const path = (one: string) => filled(template, `chatcmpl-${one}`);
      const ofTheirs = await status(method, path(id), globalId("Completion", id));
      expect(ofTheirs).toMatch(/^404 .*not_found/u);
      expect(ofTheirs).toBe(await status(method, path(other), globalId("Completion", other)));
      const own = await fetch(`${server.url}${path(id)}`, { method, headers: { authorization: `Bearer ${owner}` } });
      expect({ method, status: own.status }).toEqual({ method, status: 200 });
    }
  });

  test("and so do the protocol's requests, and its uploads", async () => {
    const messages = [{ role: "user", content: "x" }];
    const ask = async (path: string, model: string) => {
      const response = await fetch(`${server.url}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ model, ...(path.includes("chat") ? { messages } : { prompt: "x" }) }),
      });
      return `${response.status} ${withoutIds(await response.text(), model)}`;
    };
    const posts = openAIRoutes.filter(({ method }) => method === "POST");
    expect(posts.length).toBeGreaterThan(1);
    for (const { path } of posts) {
      for (const type of ["Checkpoint", "FineTune"]) {
        const id = theirs[type] ?? expect.unreachable(type);
        const ofTheirs = await ask(path, id);
        expect(ofTheirs).toMatch(/^404 /u);
        expect(ofTheirs).toBe(await ask(path, never(id)));
      }
    }
    const { key: owner } = await server.store
      .of(operator)
      .administration.createKey({ name: "owner", scopes: ["write"], expiresInS: null });
    const made = await fetch(`${server.url}/uploads`, {
      method: "POST",
      headers: { authorization: `Bearer ${owner}`, "tus-resumable": "1.0.0", "upload-length": "4" },
    });
    expect(made.status).toBe(201);
    const upload = new URL(made.headers.get("location") ?? "").pathname;
    const unknown = "/uploads/00000000000000000000000000000000";
    for (const [method, headers] of [
      ["HEAD", {}],
      ["PATCH", { "upload-offset": "0", "content-type": "application/offset+octet-stream" }],
      ["DELETE", {}],
    ] as const) {
      const ofTheirs = await status(method, upload, upload, { "tus-resumable": "1.0.0", ...headers });
      expect(ofTheirs).toMatch(/^404/u);
      const encoded = upload.replace(/.$/u, (last) => `%${last.codePointAt(0)?.toString(16)}`);
      expect(await status(method, encoded, upload, { "tus-resumable": "1.0.0", ...headers })).toMatch(/^404/u);
      expect((await status(method, unknown, unknown, { "tus-resumable": "1.0.0", ...headers })).slice(0, 3)).toBe(
        "404",
      );
    }
    const own = await fetch(`${server.url}${upload}`, {
      method: "HEAD",
      headers: { authorization: `Bearer ${owner}`, "tus-resumable": "1.0.0" },
    });
    expect(own.status).toBe(200);
  });
});
