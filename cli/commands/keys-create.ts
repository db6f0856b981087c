/** steplog keys create --name NAME --scopes read,train [--project NAME] [--expires 90d] */
import { didYouMean } from "../../schema/did-you-mean.ts";
import { type Command, InvalidArgumentError } from "commander";
import { type Scope, scopes } from "../../schema/projects.ts";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description(
      "Make an API key, and print it: nobody can read it again. From the first key on, every request needs one. With DATABASE_URL " +
        "it is made in the database, otherwise by the service at --url, with a key that has the scope admin (STEPLOG_API_TOKEN).",
    )
    .requiredOption("--name <name>", "what the key is for")
    .requiredOption("--scopes <list>", `what it allows: any of ${scopes.join(", ")}, separated by commas`, scopesIn)
    .option("--project <name>", "the project that it belongs to; the default one if left out")
    .option("--expires <days>", "after how many days it ends, such as 90d", daysIn)
    .addOption(urlOption())
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExample:\n  steplog keys create --name ci --project reviews --scopes read,train --expires 90d",
    )
    .action(create);
}

interface Options {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly project?: string;
  readonly expires?: number;
  readonly url: string;
  readonly json?: true;
}

async function create({ name, scopes: wanted, project, expires, url, json }: Options): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const projectId = await projectNamed(administrator, project);
    const made = await administrator.createKey({ name, scopes: wanted, days: expires ?? null, projectId });
    if (json) return printJson(made);
    print(made.key);
    process.stderr.write("Keep it now: it is not shown again.\n");
  });
}

function scopesIn(text: string): Scope[] {
  const given = text.split(",").map((word) => word.trim());
  const found = scopes.filter((scope) => given.includes(scope));
  const unknown = given.find((word) => !scopes.some((scope) => scope === word));
  if (unknown === undefined) return found;
  throw new InvalidArgumentError(
    `${JSON.stringify(unknown)} is no scope.${didYouMean(unknown, scopes)} There are ${scopes.join(", ")}.`,
  );
}

function daysIn(text: string): number {
  const days = Number(/^(\d+(?:\.\d+)?)d?$/u.exec(text)?.[1]);
  if (days > 0 && days <= 3_650) return days;
  throw new InvalidArgumentError("Give days, up to 3650d, such as 90d.");
}
