/** Arguments and options whose values a service has names for: what they mean, and for completion which there are. */
import { Argument, Option } from "commander";

/** Things of a service that a command line calls by a name or a short id. */
export type Named =
  | "alias"
  | "baseModel"
  | "checkpoint"
  | "dataset"
  | "evaluation"
  | "model"
  | "run"
  | "sweep"
  | "webhook";

/** What an argument names; of some commands that hangs on the arguments before it. */
type Kind = Named | ((before: readonly string[]) => Named | null);

const kinds = new WeakMap<Argument | Option, Kind>();

/** Null for what names nothing of a service. @param before the arguments before it */
export function namedBy(one: Argument | Option, before: readonly string[]): Named | null {
  const kind = kinds.get(one) ?? null;
  return typeof kind === "function" ? kind(before) : kind;
}

export function naming<One extends Argument | Option>(one: One, kind: Kind): One {
  kinds.set(one, kind);
  return one;
}

export const runArgument = (flags = "<run>") =>
  naming(new Argument(flags, "the run, by its id, the beginning of it, or its name"), "run");

export const sweepArgument = () =>
  naming(new Argument("<sweep>", "the sweep, by its id, the beginning of it, or its name"), "sweep");

export const checkpointArgument = () =>
  naming(new Argument("<checkpoint>", "the checkpoint, by its id or the beginning of it"), "checkpoint");

export const webhookArgument = () =>
  naming(new Argument("<webhook>", "the webhook, by its id, the beginning of it, or its address"), "webhook");

export const aliasArgument = (meaning = "the alias") => naming(new Argument("<name>", meaning), "alias");

const aModel = "an alias, the name of a base model or of a run, or the id of a run or of a checkpoint";

export const modelArgument = () => naming(new Argument("<model>", aModel), "model");

/** To be asked. */
export const servedModelOption = (meaning = aModel) =>
  naming(new Option("--model <name>", meaning), "model").makeOptionMandatory();
