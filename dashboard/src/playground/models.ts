/** The models that are asked: as the address names them, what they are, and what they cannot do. */
import { useEffect, useState } from "preact/hooks";
import { canWrite } from "../../../schema/model-kind.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAgain, useAnswer } from "../api/query.ts";
import { useMay } from "../api/viewer.ts";
import { formatInteger } from "../format.ts";
import type { Mode } from "./address.ts";
import { toldApart } from "../parts/told-apart.ts";
import {
  playChat,
  playModel,
  playNames,
  type PlayBaseFragment,
  type PlayCheckpointFragment,
  type PlayModelQuery,
  type PlayNamesQuery,
  type PlayRunFragment,
} from "./operations.ts";

export interface PlayedModel {
  /** As the address has it. */
  readonly key: string;
  /** As requests name it: an alias, a base model, or the id of a checkpoint or of a run. */
  readonly name: string;
  readonly label: string;
  /** What it is, in a few words. */
  readonly about: string;
  /** Null while it is looked up, and if it is not known. */
  readonly base: PlayBaseFragment | null;
  /** The run that tuned it. */
  readonly run: PlayRunFragment | null;
  /** Why it is not known. */
  readonly failure: Failure | null;
}

type Found = PlayModelQuery["node"] | Failure;

export function useModels(keys: readonly string[]): readonly PlayedModel[] {
  const reads = useMay()("READ");
  const { data: names, failure } = useAnswer(playNames, { reads });
  const [found, setFound] = useState<ReadonlyMap<string, Found>>(new Map());
  const asked = names === null && failure === null ? [] : keys.filter((key) => !named(names, key) && !found.has(key));
  useEffect(() => {
    for (const key of asked) {
      const keep = (one: Found) => setFound((before) => new Map(before).set(key, one));
      ask(playModel, { id: key, reads }).then(
        ({ node }) => keep(node),
        (error: unknown) => keep(asFailure(error)),
      );
    }
  }, [asked.join(",")]);
  useAgain(failureIn(keys, found), () =>
    setFound((before) => new Map([...before].filter(([, one]) => !isFailure(one)))),
  );
  const models = keys.map((key) => named(names, key) ?? modelOf(key, found.get(key)));
  const labels = toldApart(models.map(({ key, label }) => ({ id: key, name: label })));
  return models.map((model) => ({ ...model, label: labels.get(model.key) ?? model.label }));
}

const isFailure = (one: Found | undefined): one is Failure => one != null && "code" in one;

function failureIn(keys: readonly string[], found: ReadonlyMap<string, Found>): Failure | null {
  return keys.map((key) => found.get(key)).find(isFailure) ?? null;
}

/** An alias comes before a base model, as in requests. */
function named(names: PlayNamesQuery | null, key: string): PlayedModel | null {
  const alias = names?.aliases.find(({ name }) => name === key);
  if (alias) {
    const { checkpoint, baseModel } = alias;
    const about = `alias of ${checkpoint ? checkpointLabel(checkpoint) : baseModel.name}`;
    return { key, name: key, label: key, about, base: baseModel, run: checkpoint?.fineTune ?? null, failure: null };
  }
  const base = names?.baseModels.nodes.find(({ name }) => name === key);
  return base ? baseModelOf(key, base) : null;
}

function modelOf(key: string, found: Found | undefined): PlayedModel {
  const unknown = { key, name: key, label: key, base: null, run: null, failure: null };
  if (found === undefined) return { ...unknown, about: "Looking it up…" };
  // What could not be looked up can still be asked: the service then says what is wrong.
  if (found === null) return { ...unknown, about: "not known here" };
  if (isFailure(found) && found.code === "FORBIDDEN") return { ...unknown, about: "your key may not see what it is" };
  if (isFailure(found)) return { ...unknown, about: "not known here", failure: found };
  if (found.kind === "BaseModel") return baseModelOf(key, found);
  if (found.kind === "Checkpoint") {
    const { fineTune: run = null } = found;
    const about = run ? aboutTuned(run) : "a checkpoint";
    return { ...unknown, label: checkpointLabel(found), about, base: run?.baseModel ?? null, run };
  }
  if (found.kind !== "FineTune") return { ...unknown, about: "not a model" };
  const { bestEvaluation: best, baseModel } = found;
  const which = best ? `best, step ${formatInteger(best.step)}` : "last checkpoint";
  return { ...unknown, label: `${found.name}, ${which}`, about: aboutTuned(found), base: baseModel, run: found };
}

function baseModelOf(key: string, base: PlayBaseFragment): PlayedModel {
  return { key, name: base.name, label: base.name, about: "base model", base, run: null, failure: null };
}

export const checkpointLabel = ({ step, fineTune }: PlayCheckpointFragment) =>
  `${fineTune?.name ?? "a checkpoint"}, step ${formatInteger(step)}`;
const aboutTuned = ({ baseModel }: PlayRunFragment) => `tuned from ${baseModel.name}`;

const aConversation = JSON.stringify({
  messages: [
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Hello" },
  ],
});

/** Why each model cannot be asked in this mode, by its key; a model that can, or of which it is not known, has none. */
export function useRefusals(models: readonly PlayedModel[], mode: Mode): ReadonlyMap<string, string> {
  const [chats, setChats] = useState<ReadonlyMap<string, boolean>>(new Map());
  const bases = [...new Set(models.flatMap(({ base }) => (base ? [base.name] : [])))];
  const asked = mode === "chat" ? bases.filter((name) => !chats.has(name)) : [];
  useEffect(() => {
    for (const baseModel of asked) {
      const keep = (can: boolean) => setChats((before) => new Map(before).set(baseModel, can));
      ask(playChat, { baseModel, jsonl: aConversation }).then(
        () => keep(true),
        // Whatever else is wrong, the service says if the model is asked.
        (error: unknown) => keep(asFailure(error).code !== "MODEL_INVALID"),
      );
    }
  }, [asked.join("\n")]);
  return new Map(
    models.flatMap(({ key, base }) => {
      const why = base && refusalOf(base, mode === "chat" && chats.get(base.name) === false);
      return why === null ? [] : [[key, why] as const];
    }),
  );
}

function refusalOf(base: PlayBaseFragment, isMute: boolean): string | null {
  const { name } = base;
  if (!canWrite(base)) return `${name} fills gaps in a text (a masked model): it cannot write, or choose after a text.`;
  if (!isMute) return null;
  return `${name} takes no messages: it has no chat template, which says how a conversation is written for it. Ask it as text.`;
}
