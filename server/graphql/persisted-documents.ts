/**
 * Documents that clients name instead of sending them, as the appendix of GraphQL over HTTP about persisted documents describes
 * it: `documentId` is `sha256:` and the hash of the document's text, or a name without a colon. Where only these may run,
 * whoever is no operator may send no others; the page's own stay allowed. A text is compared by what it means, since clients add
 * `__typename` and format as they like.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { GraphQLError, parse, print, stripIgnoredCharacters, validate, visit } from "graphql";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import { type Viewer, isOperator } from "../../schema/projects.ts";
import { refusal, requestError } from "../errors.ts";
import { checkQuery } from "./query-limits.ts";
import { schema } from "./schema.ts";

export interface DocumentOptions {
  /** JSON: documents by their ids, as `steplog documents` writes it. */
  readonly file: string | undefined;
  /** Whether only these may run. */
  readonly only: boolean;
  /** JSON: the page's own, as its build writes it. */
  readonly ofPage?: string | undefined;
}

/** What a request may have, over HTTP and WebSocket. */
export interface DocumentRequest {
  readonly query?: unknown;
  readonly documentId?: unknown;
  readonly extensions?: unknown;
}

export class PersistedDocuments {
  readonly #texts: ReadonlyMap<string, string>;
  /** Normal forms of all that may run; null for everything. */
  readonly #allowed: ReadonlySet<string> | null;

  private constructor(texts: ReadonlyMap<string, string>, allowed: ReadonlySet<string> | null) {
    this.#texts = texts;
    this.#allowed = allowed;
  }

  /** @throws INVALID_ARGUMENT for a file that has no documents of this API */
  static async open({ file, only, ofPage }: DocumentOptions): Promise<PersistedDocuments> {
    const texts = file === undefined ? new Map<string, string>() : await readDocuments(file);
    if (!only) return new PersistedDocuments(texts, null);
    const own = ofPage === undefined ? [] : [...(await readDocuments(ofPage)).values()];
    return new PersistedDocuments(texts, new Set([...texts.values(), ...own].map(normalForm)));
  }

  /** The text that a request names; undefined for one that names none. @throws GraphQLError INVALID_ARGUMENT */
  named({ query, documentId, extensions }: DocumentRequest): string | undefined {
    if (documentId == null) return query == null || query === "" ? this.#byHash(extensions) : undefined;
    // Clients of graphql-ws have to send a text: it is empty.
    if (query != null && query !== "") throw requestError("Send documentId or query, not both.");
    const text = typeof documentId === "string" ? this.#texts.get(documentId) : undefined;
    if (text !== undefined) return text;
    const seen = JSON.stringify(documentId)?.slice(0, 100);
    throw requestError(`There is no document ${seen} here. Send the query, or have an operator list the document.`);
  }

  /** Other clients try a hash first, and send the query if the answer is one of these two words. */
  #byHash(extensions: unknown): string | undefined {
    const { data } = hashed.safeParse(extensions);
    if (!data) return undefined;
    const text = this.#texts.get(`sha256:${data.persistedQuery.sha256Hash}`);
    if (text !== undefined) return text;
    throw requestError(this.#texts.size > 0 ? "PersistedQueryNotFound" : "PersistedQueryNotSupported", { status: 200 });
  }

  /** The error for a text that the viewer may not run; null for others. */
  refused(text: string, viewer: Viewer): GraphQLError | null {
    if (!this.#allowed || isOperator(viewer)) return null;
    checkQuery(text);
    if (this.#allowed.has(normalForm(text))) return null;
    const message = "This service runs listed documents only. Send one of them, or have an operator list this one.";
    return refusal(new SteplogError("FORBIDDEN", message));
  }
}

const hashed = z.object({ persistedQuery: z.object({ sha256Hash: z.string() }) });

/** The same for texts that differ in format and in `__typename` only. A text that cannot be parsed is left as it is. */
function normalForm(text: string): string {
  try {
    const bare = visit(parse(text, { noLocation: true }), {
      Field: ({ name, alias }) => (name.value === "__typename" && !alias ? null : undefined),
    });
    return stripIgnoredCharacters(print(bare));
  } catch {
    return text;
  }
}

/** The id of a document, by its text. */
export function documentId(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

async function readDocuments(file: string): Promise<Map<string, string>> {
  const known = z.record(z.string(), z.string()).safeParse(await readJson(file));
  if (!known.success) throw wrong(file, "is not JSON of texts of documents by their ids");
  for (const [id, text] of Object.entries(known.data)) check(file, id, text);
  return new Map(Object.entries(known.data));
}

async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw wrong(file, "cannot be read", cause);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw wrong(file, "is not JSON", cause);
  }
}

/** @throws INVALID_ARGUMENT for an id that is not the text's, and for a text that this API cannot run */
function check(file: string, id: string, text: string): void {
  if (id.includes(":") && id !== documentId(text)) throw wrong(file, `has ${id}, but the text there has another hash`);
  const errors = problems(text);
  if (errors.length > 0) throw wrong(file, `has ${id}, which this API cannot run: ${errors[0]}`);
}

function problems(text: string): string[] {
  try {
    return validate(schema, parse(text)).map(({ message }) => message);
  } catch (error) {
    if (error instanceof GraphQLError) return [error.message];
    throw error;
  }
}

function wrong(file: string, what: string, cause?: unknown): SteplogError {
  const message = `The file of persisted documents ${file} ${what}. Make it with steplog documents FOLDER --out FILE.`;
  return new SteplogError("INVALID_ARGUMENT", message, [], { cause });
}
