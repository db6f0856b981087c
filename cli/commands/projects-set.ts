/** steplog projects set [--project NAME] [--keep KIND=TIME...] [--quota NAME=LIMIT...] [--json] */
import { type Command, InvalidArgumentError } from "commander";
import { SteplogError } from "../../schema/errors.ts";
import { type KeptKind, keptNames, longestTtl } from "../../schema/expiry.ts";
import { spelled } from "../../schema/spelling.ts";
import { quotaNames } from "../../schema/usage.ts";
import type { QuotaChanges } from "../administration.ts";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { unitSeconds } from "../times.ts";

/** As options are written: "fine-tunes". */
const hyphened = (name: string) => spelled(name, "-");
const kindOf = new Map(Object.entries(keptNames).map(([name, kind]) => [hyphened(name), kind]));
const names = [...kindOf.keys()];
const quotaOf = new Map(quotaNames.map((name) => [hyphened(name), name]));

export function define(command: Command): void {
  command
    .description(
      "Say how long a project keeps what it creates from now on, and, for operators, how much it may use. With DATABASE_URL in the database, otherwise by the service at " +
        "--url, with a key that has the scope admin (STEPLOG_API_TOKEN).",
    )
    .option("--project <name>", "the project; the default one, or the key's own, if left out")
    .option(
      "--keep <kind=time>",
      `${names.join(", ")}, and how long: 30d, 12h, 90s or none. Weights count from their last use. Can be given several times`,
      keepIn,
    )
    .option(
      "--quota <name=limit>",
      `${[...quotaOf.keys()].join(", ")}, and how much: a number or none. Can be given several times`,
      quotaIn,
    )
    .addOption(urlOption())
    .option(
      "--json",
      "print all times, in seconds, as one JSON object; with --quota {keep, quotas}, of what was changed",
    )
    .addHelpText("after", "\nExample:\n  steplog projects set --project reviews --keep datasets=365d --keep weights=7d")
    .action(set);
}

interface Options {
  readonly project?: string;
  readonly keep?: Readonly<Partial<Record<KeptKind, number | null>>>;
  readonly quota?: QuotaChanges;
  readonly url: string;
  readonly json?: true;
}

async function set({ project, keep, quota, url, json }: Options): Promise<void> {
  if (!keep && !quota)
    throw new SteplogError("INVALID_ARGUMENT", "Say what to set: --keep KIND=TIME or --quota NAME=LIMIT.");
  await withAdministrator(url, async (administrator) => {
    const id = await projectNamed(administrator, project);
    const times = keep && (await administrator.setKeep(keep, id));
    const quotas = quota && (await administrator.setQuotas(quota, id));
    if (json) return printJson(quotas ? { keep: times, quotas } : times);
    if (times) for (const [name, kind] of kindOf) print(`${name}: ${timeOf(times[kind])}`);
    if (quotas) for (const [name, one] of quotaOf) print(`${name}: ${quotas[one] ?? "no limit"}`);
  });
}

const timeOf = (seconds: number | undefined) => (seconds === undefined ? "no limit of the project" : `${seconds} s`);

function keepIn(text: string, before: NonNullable<Options["keep"]> = {}): NonNullable<Options["keep"]> {
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

function quotaIn(text: string, before: QuotaChanges = {}): QuotaChanges {
  const [, given, limit] = /^([a-z-]+)=(none|\d+(?:\.\d+)?(?:e\+?\d+)?)$/u.exec(text) ?? [];
  const name = quotaOf.get(given ?? "");
  if (name !== undefined && limit !== undefined) return { ...before, [name]: limit === "none" ? null : Number(limit) };
  const all = [...quotaOf.keys()].join(", ");
  throw new InvalidArgumentError(`Give one of ${all}, and a limit: steps-a-month=100000, or steps-a-month=none.`);
}
