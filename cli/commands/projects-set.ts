/** steplog projects set [--project NAME] --keep KIND=TIME... [--json] */
import { type Command, InvalidArgumentError } from "commander";
import { type KeptKind, keptNames, longestTtl } from "../../schema/expiry.ts";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { unitSeconds } from "../times.ts";

/** As options are written: "fine-tunes". */
const kindOf = new Map(
  Object.entries(keptNames).map(([name, kind]) => [
    name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`),
    kind,
  ]),
);
const names = [...kindOf.keys()];

export function define(command: Command): void {
  command
    .description(
      "Say how long a project keeps what it creates from now on. With DATABASE_URL in the database, otherwise by the service at " +
        "--url, with a key that has the scope admin (STEPLOG_API_TOKEN).",
    )
    .option("--project <name>", "the project; the default one, or the key's own, if left out")
    .requiredOption(
      "--keep <kind=time>",
      `${names.join(", ")}, and how long: 30d, 12h, 90s or none. Weights count from their last use. Can be given several times`,
      keepIn,
    )
    .addOption(urlOption())
    .option("--json", "print all times, in seconds, as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog projects set --project reviews --keep datasets=365d --keep weights=7d")
    .action(set);
}

interface Options {
  readonly project?: string;
  readonly keep: Readonly<Partial<Record<KeptKind, number | null>>>;
  readonly url: string;
  readonly json?: true;
}

async function set({ project, keep, url, json }: Options): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const all = await administrator.setKeep(keep, await projectNamed(administrator, project));
    if (json) return printJson(all);
    for (const [name, kind] of kindOf) {
      const seconds = all[kind];
      print(`${name}: ${seconds === undefined ? "no limit of the project" : `${seconds} s`}`);
    }
  });
}

function keepIn(text: string, before: Options["keep"] = {}): Options["keep"] {
  const [, given, amount, unit = "s"] = /^([a-z-]+)=(?:none|(\d+(?:\.\d+)?)([smhd])?)$/u.exec(text) ?? [];
  const kind = kindOf.get(given ?? "");
  if (kind === undefined) throw wrong();
  if (amount === undefined) return { ...before, [kind]: null };
  const seconds = Number(amount) * unitSeconds[unit as keyof typeof unitSeconds];
  if (seconds > longestTtl || (seconds === 0 && kind !== "WEIGHTS")) throw wrong();
  return { ...before, [kind]: seconds };
}

function wrong(): InvalidArgumentError {
  return new InvalidArgumentError(
    `Give one of ${names.join(", ")}, and a time up to ten years: datasets=30d, or datasets=none.`,
  );
}
