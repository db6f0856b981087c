/** Copies an action in a form that a program can repeat: as GraphQL, as a command line, as curl. */
import type { Operation } from "../../../client/operation.ts";
import { baseUrl } from "../base.ts";
import { MenuButton } from "./menu.tsx";
import { toast } from "./toast.tsx";

interface CopyAsProps {
  /** What is copied, for the button's name: "the creation of this run". */
  readonly what: string;
  readonly operation: Operation<unknown, never>;
  readonly variables: object;
  /** The same by the steplog command, if it can. */
  readonly command?: string | undefined;
}

export function CopyAs({ what, operation, variables, command }: CopyAsProps) {
  const body = JSON.stringify({ query: operation.text, variables });
  const forms = [
    { name: "as GraphQL", text: `${operation.text}\n\n# variables\n${JSON.stringify(variables, null, 2)}` },
    ...(command === undefined ? [] : [{ name: "as a command", text: command }]),
    {
      name: "as curl",
      text: `curl ${baseUrl}/graphql -H 'content-type: application/json' -H "authorization: Bearer $STEPLOG_API_TOKEN" -d ${quoted(body)}`,
    },
  ];
  return (
    <MenuButton
      label="Copy as…"
      name={`Copy as… ${what}`}
      actions={forms.map(({ name, text }) => ({ name: `Copy ${name}`, run: () => void copy(text) }))}
    />
  );
}

/** For a POSIX shell. */
export const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

export async function copy(text: string): Promise<void> {
  await write(text);
  toast("Copied.");
}

/** Browsers have no clipboard for pages on plain http, except on localhost. */
async function write(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  // oxlint-disable-next-line typescript/no-deprecated -- the only way there
  document.execCommand("copy");
  area.remove();
}
