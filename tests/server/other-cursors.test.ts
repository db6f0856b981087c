/**
 * Rows of another project as cursors, in every list that the schema has: the answer is that for a cursor that never was. So no
 * position tells that a row exists, or where it stands among one's own.
 */
import { type GraphQLField, getNamedType, isEnumType, isObjectType } from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operator, scopes } from "../../schema/projects.ts";
import { schema } from "../../server/graphql/schema.ts";
import { askAs, everything, withoutIds } from "./everything.ts";
import { globalId, rowId, type TestServer, testServer } from "./harness.ts";

let server: TestServer;
let key: string;
/** Ids of the default project and of the key's, by type. */
let theirs: Record<string, string>;
let own: Record<string, string>;

beforeAll(async () => {
  server = await testServer();
  theirs = await everything(server);
  const { administration } = server.store.of(operator);
  const { id: projectId } = await administration.createProject("other");
  const all = { name: "all of it", scopes: [...scopes], expiresInS: null, projectId };
  ({ key } = await administration.createKey(all));
  own = await everything(server, { projectId, ask: askAs(server, key) });
  own["BaseModel"] = globalId("BaseModel", server.model.id);
});
afterAll(() => server.dispose());

async function textOf(query: string, variables: object): Promise<string> {
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables }),
  });
  return response.text();
}

/** A field that takes a cursor: of the root, or of what has an id. */
interface Place {
  readonly parent: string;
  readonly field: GraphQLField<unknown, unknown>;
  /** The cursor, after what else is given. */
  readonly given: string;
}

const isCursor = (name: string) => name === "after" || name === "before";

/** Every cursor, and in every order that the list has. */
function placesOf(parent: string, field: GraphQLField<unknown, unknown>): Place[] {
  const sort = getNamedType(field.args.find(({ name }) => name === "sort")?.type);
  const orders = isEnumType(sort) ? sort.getValues().map((value) => `sort: ${value.name}, `) : [""];
  const cursors = field.args.filter(({ name, type }) => isCursor(name) && getNamedType(type).name === "String");
  return cursors.flatMap(({ name }) => orders.map((order) => ({ parent, field, given: `${order}${name}` })));
}

const places = Object.values(schema.getTypeMap())
  .filter(isObjectType)
  .flatMap((type) => Object.values(type.getFields()).flatMap((field) => placesOf(type.name, field)));

/** What the field of the own project's says with a cursor. */
async function asked({ parent, field, given }: Place, id: string): Promise<string> {
  const selection = isConnection(field) ? "{ edges { cursor } pageInfo { hasNextPage } }" : "{ __typename }";
  const asking = `${field.name}(${given}: $cursor) ${selection}`;
  const node = own[parent];
  if (parent !== "Query" && node === undefined) expect.unreachable(`there is no ${parent} whose ${field.name} to ask`);
  const text =
    node === undefined
      ? await textOf(`query ($cursor: String) { ${asking} }`, { cursor: rowId(id) })
      : await textOf(`query ($id: ID!, $cursor: String) { node(id: $id) { ... on ${parent} { ${asking} } } }`, {
          id: node,
          cursor: rowId(id),
        });
  return withoutIds(text, id);
}

const isConnection = ({ type }: Place["field"]) => getNamedType(type).name.endsWith("Connection");

describe("every cursor", () => {
  test.each(places.map((place) => [`${place.parent}.${place.field.name}(${place.given})`, place] as const))(
    "%s",
    async (_name, place) => {
      const never = await asked(place, globalId("Never", crypto.randomUUID()));
      for (const [type, id] of Object.entries(theirs)) expect([type, await asked(place, id)]).toEqual([type, never]);
      if (!isConnection(place.field)) return;
      expect(never).toMatch(/is not from this list|"edges":\[\]/u);
      const answers = await Promise.all(Object.values(own).map((id) => asked(place, id)));
      expect(answers.filter((answer) => !answer.includes('"errors"'))).not.toEqual([]);
    },
  );

  test("and there are some of the root and some of what it has", () => {
    const nested = new Set(places.flatMap(({ parent }) => (parent === "Query" ? [] : [parent])));
    expect(nested).toEqual(new Set(["BaseModel", "Checkpoint", "Dataset", "FineTune", "Webhook"]));
    expect(places.length - nested.size).toBeGreaterThan(20);
  });
});
