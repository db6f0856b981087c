/** steplog documents: the file of persisted documents, from the operations of .graphql files. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import {
  buildSchema,
  concatAST,
  GraphQLError,
  parse,
  print,
  separateOperations,
  Source,
  stripIgnoredCharacters,
  validate,
  type DocumentNode,
} from "graphql";
import { SteplogError } from "../../schema/errors.ts";
import { packagePath } from "../../schema/package.ts";
import { documentId } from "../../server/graphql/persisted-documents.ts";
import { print as printLine, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Make the list of the GraphQL documents that clients may name, from the operations of .graphql files.")
    .argument("<folder>", "where the .graphql files are, in subfolders too; fragments of one may be used in another")
    .requiredOption("--out <file>", "the JSON file to write, for STEPLOG_PERSISTED_DOCUMENTS")
    .option("--json", "print the operations and their ids as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog documents queries --out documents.json")
    .action(documents);
}

async function documents(folder: string, { out, json }: { readonly out: string; readonly json?: true }): Promise<void> {
  const operations = await read(folder);
  const texts = [...operations].map(([name, document]) => [name, stripIgnoredCharacters(print(document))] as const);
  const ids = texts.map(([name, text]) => [name, documentId(text)] as const);
  await writeFile(
    out,
    `${JSON.stringify(Object.fromEntries(texts.map(([, text]) => [documentId(text), text])), null, 2)}\n`,
  );
  if (json) printJson({ file: out, operations: Object.fromEntries(ids) });
  else for (const [name, id] of ids) printLine(`${id}  ${name}`);
}

/** Each operation with the fragments that it uses, by name. @throws INVALID_ARGUMENT for what this API cannot run */
async function read(folder: string): Promise<Map<string, DocumentNode>> {
  const names = await readdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw refused(`${folder} cannot be read`, cause);
  });
  const files = names.filter((name) => name.endsWith(".graphql")).toSorted();
  const whole = concatAST(await Promise.all(files.map((name) => parsed(join(folder, name)))));
  const schema = buildSchema(await readFile(packagePath("schema/api.graphql"), "utf8"));
  const [error] = validate(schema, whole);
  if (error) throw refused(String(error), error);
  const operations = new Map(Object.entries(separateOperations(whole)));
  if (operations.size === 0) throw refused(`${folder} has no .graphql file with an operation`);
  if (operations.has("")) throw refused("Give every operation a name");
  return operations;
}

async function parsed(path: string): Promise<DocumentNode> {
  try {
    return parse(new Source(await readFile(path, "utf8"), path));
  } catch (error) {
    throw error instanceof GraphQLError ? refused(String(error), error) : error;
  }
}

function refused(message: string, cause?: unknown): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", `${message}.`, [], { cause });
}
