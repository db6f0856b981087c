/** An id that is none, or of another type, is refused with its place: at every argument and input field that takes one. */
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  getNamedType,
  getNullableType,
  isInputObjectType,
  isListType,
  isObjectType,
} from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asSteplogError } from "../../schema/errors.ts";
import { schema } from "../../server/graphql/schema.ts";
import { typesOf } from "../../server/graphql/typed-ids.ts";
import { globalId, type TestServer, testServer } from "./harness.ts";

type Taken = GraphQLArgument | GraphQLInputField;

interface Place {
  readonly field: GraphQLField<unknown, unknown>;
  /** From the argument to the one that takes the id. */
  readonly steps: readonly Taken[];
}

/** Where a list of items is followed by one, as a cursor is. */
const cursors = new Set(["after", "before"]);

const places: Place[] = Object.values(schema.getTypeMap())
  .filter((type) => isObjectType(type))
  .flatMap((type) => Object.values(type.getFields()))
  .flatMap((field) => field.args.flatMap((one) => stepsIn(one, []).map((steps) => ({ field, steps }))));

function stepsIn(one: Taken, before: readonly Taken[]): (readonly Taken[])[] {
  const named = getNamedType(one.type);
  const steps = [...before, one];
  if (named.name === "ID" && !cursors.has(one.name)) return [steps];
  if (!isInputObjectType(named) || before.includes(one)) return [];
  return Object.values(named.getFields()).flatMap((field) => stepsIn(field, steps));
}

/** Arguments with an id at a place, and the name of that place in an error. */
function argumentsWith(id: string, steps: readonly Taken[]) {
  const isList = ({ type }: Taken) => isListType(getNullableType(type));
  const value = steps.reduceRight<unknown>((inner, one) => ({ [one.name]: isList(one) ? [inner] : inner }), id);
  const field = steps.map((one) => (isList(one) ? `${one.name}.0` : one.name)).join(".");
  return { value, field };
}

/** What a field says before it does anything: it has nothing to do it with. */
function refusalOf({ field, steps }: Place, id: string) {
  try {
    (field.subscribe ?? field.resolve)?.({}, argumentsWith(id, steps).value, null, null as never);
  } catch (error) {
    const { code, message, issues } = asSteplogError(error);
    return { code, message, fields: issues.map((issue) => issue.field) };
  }
  return null;
}

const nameOf = ({ field, steps }: Place) => `${field.name}(${steps.map(({ name }) => name).join(".")})`;

describe("every place that takes an id", () => {
  test("is found", () => expect(places.length).toBeGreaterThan(60));

  test.each(places.map((place) => [nameOf(place), place] as const))("%s", (_, place) => {
    const { steps } = place;
    const { field } = argumentsWith("", steps);
    const types = typesOf(steps.at(-1)?.extensions ?? {});
    const wanted = types === null ? "an id" : `the id of a ${types.join(" or a ")}`;
    const message = `${field}: is "abc", which is no id; give ${wanted} as this API returned it`;
    expect(refusalOf(place, "abc")).toEqual({ code: "INVALID_ARGUMENT", message, fields: [field] });
    if (types === null) return;
    expect(refusalOf(place, globalId("Nothing", "1"))).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: `${field}: is the id of a Nothing; give ${wanted} as this API returned it`,
      fields: [field],
    });
  });
});

describe("over HTTP", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.dispose());

  test("every wrong id of a request is named, in variables and in the document", async () => {
    const input = { name: "x", baseModel: "bytes", dataset: globalId("FineTune", "1"), testDataset: "abc" };
    const query = "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { created } }";
    const { errors } = await server.gql(query, { input });
    expect(errors?.[0]?.extensions).toEqual({
      code: "INVALID_ARGUMENT",
      issues: [
        {
          field: "input.dataset",
          message: "is the id of a FineTune; give the id of a Dataset as this API returned it",
        },
        {
          field: "input.testDataset",
          message: 'is "abc", which is no id; give the id of a Dataset as this API returned it',
        },
      ],
    });
    const written = await server.gql('{ fineTune(id: "abc") { id } }');
    expect(written.errors?.[0]?.extensions.issues).toMatchObject([{ field: "id" }]);
  });

  test("an id of the right type whose rest is none of ours finds nothing", async () => {
    const found = await server.gql("query ($id: ID!) { fineTune(id: $id) { id } }", {
      id: globalId("FineTune", "abc"),
    });
    expect(found).toMatchObject({ data: { fineTune: null } });
    expect(found.errors).toBeUndefined();
  });
});
