/**
 * Writes the TypeScript of every GraphQL operation in the repository: npm run generate:operations. GraphQL Code
 * Generator makes the types, from schema/api.graphql and the .graphql files; each operation also becomes a constant that
 * carries them.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path/posix";
import { codegen } from "@graphql-codegen/core";
import * as operationTypes from "@graphql-codegen/typescript-operations";
import {
  buildSchema,
  Kind,
  parse,
  print,
  separateOperations,
  stripIgnoredCharacters,
  validate,
  type DocumentNode,
} from "graphql";

const root = new URL("../", import.meta.url);
const read = (file: string) => readFileSync(new URL(file, root), "utf8");

/** Enums and inputs that the operations use; both sides import them from here. */
const schemaTypesFile = "client/schema-types.ts";
const operationModule = "client/operation.ts";
/** The client's, the command line's, and one of each folder of the page. The names of operations are unique among them. */
const operationFiles = ["client/operations.graphql", "cli/operations.graphql", ...operationsIn("dashboard/src")];

const header = "// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.\n";
const config = {
  immutableTypes: true,
  skipTypename: true,
  inlineFragmentTypes: "combine",
  arrayInputCoercion: false,
  strictScalars: true,
  scalars: { ID: "string", Date: "string", DateTime: "string", SafeInt: "number", LearningRate: 'number | "AUTO"' },
  importExtension: ".ts",
  printFieldsOnNewLines: true,
};

/**
 * The text of each generated file, by its path from the root.
 * @throws when an operation does not fit the schema, with its place
 */
export async function generateOperations(
  schemaText = read("schema/api.graphql"),
  operations: ReadonlyMap<string, string> = new Map(operationFiles.map((file) => [file, read(file)])),
): Promise<Map<string, string>> {
  const documents = [...operations].map(([location, text]) => ({ location, document: parse(text) }));
  const schema = buildSchema(schemaText);
  const errors = documents.flatMap(({ document }) => validate(schema, document));
  if (errors.length > 0) throw new Error(errors.map(String).join("\n\n"));

  const typesOf = (filename: string, of: typeof documents, more: object) =>
    codegen({
      schema: parse(schemaText),
      documents: of,
      filename,
      pluginMap: { operationTypes },
      plugins: [{ operationTypes: {} }],
      config: { ...config, ...more },
      skipDocumentsValidation: true,
    });
  const files = new Map([
    [schemaTypesFile, header + (await typesOf(schemaTypesFile, documents, { generateOperationTypes: false }))],
  ]);
  for (const file of documents) {
    const target = file.location.replace(/\.graphql$/u, ".ts");
    const types = await typesOf(target, [file], { importSchemaTypesFrom: schemaTypesFile });
    const imports = `import { operation } from "${relative(target, operationModule)}";\n`;
    files.set(target, [header + imports + types, ...constantsOf(file.document), ""].join("\n"));
  }
  return files;
}

/** `export const fineTune = operation<FineTuneQuery, FineTuneQueryVariables>(...)` for each operation of a document, in few bytes. */
function constantsOf(document: DocumentNode): string[] {
  return Object.entries(separateOperations(document)).map(([name, part]) => {
    const definition = part.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION);
    const kind = capitalised(definition?.operation ?? "query");
    const constant = name.charAt(0).toLowerCase() + name.slice(1);
    const types = `${name}${kind}, ${name}${kind}Variables`;
    return `export const ${constant} = operation<${types}>(\n  "${name}",\n  ${JSON.stringify(stripIgnoredCharacters(print(part)))},\n);\n`;
  });
}

function operationsIn(folder: string): string[] {
  const names = readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => path.basename(name) === "operations.graphql")
    .map((name) => `${folder}/${name}`)
    .toSorted();
}

const capitalised = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function relative(from: string, to: string): string {
  const found = path.relative(path.dirname(from), to);
  return found.startsWith(".") ? found : `./${found}`;
}

if (process.argv[1] !== undefined && import.meta.url === new URL(process.argv[1], "file:").href) {
  for (const [file, text] of await generateOperations()) writeFileSync(new URL(file, root), text);
}
