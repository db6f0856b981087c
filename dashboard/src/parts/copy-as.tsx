/** Copies an action in a form that a program can repeat: as GraphQL, as a command line, as curl. */
import type { Operation } from "../../../client/operation.ts";
import { baseUrl } from "../base.ts";
import { lineOf, quoted, type Words } from "./commands.ts";
import { copy } from "./copy.ts";
import { MenuButton } from "./menu.tsx";

/** A deed, as a program can repeat it. */
export interface Repeat {
  /** What is copied, for the button's name: "the creation of this run". */
  readonly what: string;
  readonly operation: Operation<unknown, never>;
  /** Several, where it is asked for so often. */
  readonly variables: object | readonly object[];
  /** The same by the steplog command, if it can. */
  readonly command?: string | (() => string) | undefined;
}

interface CopyAsProps extends Repeat {
  /** Of its button. */
  readonly label?: string;
}

export function CopyAs({ what, operation, variables, command, label = "Copy as…" }: CopyAsProps) {
  const each: readonly object[] = Array.isArray(variables) ? variables : [variables];
  const heads = () => each.map((one) => `# variables\n${JSON.stringify(one, null, 2)}`);
  const curls = () => each.map((one) => curlOf(JSON.stringify({ query: operation.text, variables: one })));
  // Written when it is copied: of a thousand runs it is long.
  const forms = [
    { name: "as GraphQL", textOf: () => [operation.text, ...heads()].join("\n\n") },
    ...(command === undefined
      ? []
      : [{ name: "as a command", textOf: () => (typeof command === "string" ? command : command()) }]),
    { name: "as curl", textOf: () => curls().join("\n") },
  ];
  return (
    <MenuButton
      label={label}
      name={`Copy as… ${what}`}
      actions={forms.map(({ name, textOf }) => ({ name: `Copy ${name}`, run: () => void copy(textOf()) }))}
    />
  );
}

const curlOf = (body: string) =>
  `curl ${baseUrl}/graphql -H 'content-type: application/json' -H "authorization: Bearer $STEPLOG_API_TOKEN" -d ${quoted(body)}`;

/** A command line for each of the words of one. */
export const steplog = (...lines: readonly Words[]) => lines.map((words) => lineOf(words, baseUrl)).join("\n");
