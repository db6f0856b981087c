/**
 * What somebody fills in for a new run, in one object: going back to a step loses nothing, and neither does reloading the
 * page, except for a file. It is kept for the tab, so that two tabs make two runs.
 */
import { useEffect, useReducer } from "preact/hooks";
import type { CreateFineTuneInput, DatasetPreset } from "../../../client/browser.ts";
import { settingsApplied, settingsIn, type SettingTexts } from "../parts/form/settings.ts";
import type { Part } from "./split.ts";
import { presetSettings, type Kind } from "./kinds.ts";
import type { Seen } from "./rows.ts";

export type StepName = "data" | "model" | "settings";

export interface NamedRows {
  readonly id: string;
  readonly name: string;
  readonly rows: number;
}

/** What a part of the rows was stored as. */
export type StoredPart = NamedRows & { readonly of: Part["of"] };

export interface Draft {
  readonly open: StepName | null;
  readonly source: "own" | "stored";
  /** Own rows; a file comes before a text. */
  readonly text: string;
  readonly file: File | null;
  readonly preset: DatasetPreset | "";
  /** Null until somebody types one: then it is the file's. */
  readonly rowsName: string | null;
  readonly splits: "share" | "datasets";
  /** As what the page can split the rows; null where it cannot, as they are parquet or too large. */
  readonly form: Seen["form"];
  /** As typed, in percent. */
  readonly validationShare: string;
  readonly testShare: string;
  readonly splitSeed: string;
  /** What the own rows were stored as, until one of them changes. */
  readonly stored: readonly StoredPart[] | null;
  readonly dataset: NamedRows | null;
  readonly validationDataset: NamedRows | null;
  readonly testDataset: NamedRows | null;
  /** One a line. */
  readonly labelWords: string;
  readonly baseModel: string;
  /** A checkpoint to continue from, instead of a base model. */
  readonly from: { readonly id: string; readonly step: number } | null;
  /** Null until somebody types one. */
  readonly name: string | null;
  readonly kind: Kind;
  readonly settings: SettingTexts;
  readonly keepWeights: boolean;
  /** What a run has that is copied, and that this page has no field for. */
  readonly more: Pick<CreateFineTuneInput, "tags" | "metadata" | "calibrationPrompt" | "priority">;
  /** The run that this is a copy of. */
  readonly copied: { readonly id: string; readonly name: string } | null;
}

export type Change = (change: Partial<Draft>) => void;

export const emptyDraft: Draft = {
  open: "data",
  source: "own",
  text: "",
  file: null,
  preset: "",
  rowsName: null,
  splits: "share",
  form: "JSONL",
  validationShare: "10",
  testShare: "0",
  splitSeed: "0",
  stored: null,
  dataset: null,
  validationDataset: null,
  testDataset: null,
  labelWords: "",
  baseModel: "",
  from: null,
  name: null,
  kind: "CAREFUL",
  settings: {},
  keepWeights: false,
  more: {},
  copied: null,
};

/** Own rows are stored as they were when one of these changes. */
const ownRows = ["text", "file", "preset", "rowsName", "splits", "validationShare", "testShare", "splitSeed"] as const;

function reduce(draft: Draft, change: Partial<Draft>): Draft {
  const next = { ...draft, ...change };
  const changed = ownRows.some((name) => next[name] !== draft[name]);
  return changed && !change.stored ? { ...next, stored: null } : next;
}

const place = "steplog-new-run";

export function useDraft(): [Draft, Change] {
  const [draft, change] = useReducer(reduce, emptyDraft, restored);
  useEffect(() => keep(draft), [draft]);
  return [draft, change];
}

function restored(empty: Draft): Draft {
  try {
    return { ...empty, ...(JSON.parse(sessionStorage.getItem(place) ?? "{}") as Partial<Draft>) };
  } catch {
    return empty;
  }
}

/** More text than a browser keeps is not kept. */
function keep(draft: Draft): void {
  try {
    sessionStorage.setItem(place, JSON.stringify({ ...draft, file: null }));
  } catch {
    sessionStorage.removeItem(place);
  }
}

export function forget(): void {
  sessionStorage.removeItem(place);
}

/** The rows of each part, wherever they come from. */
export function dataOf({ source, stored, ...draft }: Draft): Partial<Record<Part["of"], NamedRows>> {
  const part = (of: Part["of"]) => stored?.find((one) => one.of === of);
  const training = source === "own" ? part("training") : (draft.dataset ?? undefined);
  if (source === "own" && isSplit(draft)) {
    return {
      ...(training && { training }),
      ...optional("validation", part("validation")),
      ...optional("test", part("test")),
    };
  }
  return {
    ...(training && { training }),
    ...optional("validation", draft.validationDataset),
    ...optional("test", draft.testDataset),
  };
}

export const isSplit = ({ splits, form }: Pick<Draft, "splits" | "form">) => splits === "share" && form !== null;

const optional = (name: Part["of"], rows: NamedRows | null | undefined) => (rows ? { [name]: rows } : {});

/** The name that the run gets unless somebody types another. */
export function nameOf(draft: Draft): string {
  const rows = dataOf(draft).training?.name;
  if (draft.name !== null || rows === undefined) return draft.name ?? "";
  return [rows, draft.baseModel]
    .filter((part) => part !== "")
    .join(", ")
    .slice(0, 200);
}

export const labelWordsOf = ({ labelWords }: Draft) => labelWords.split(/\r?\n/u).filter((word) => word !== "");

/** The texts of the settings that are sent: those of the kind, and of the method. */
export function settingTexts(draft: Draft): SettingTexts {
  const { kind, settings } = draft;
  if (kind !== "OWN") return presetSettings(kind, dataOf(draft).validation !== undefined);
  const applied = settingsApplied(settings);
  return Object.fromEntries(applied.map((name) => [name, settings[name] ?? ""]));
}

/** What creates the run; null while the rows or the model are missing. */
export function inputOf(draft: Draft): CreateFineTuneInput | null {
  const { training, validation, test } = dataOf(draft);
  const { baseModel, from, keepWeights, more } = draft;
  if (!training || (baseModel === "" && !from)) return null;
  const labelWords = labelWordsOf(draft);
  return {
    name: nameOf(draft),
    ...(from ? { from: from.id } : { baseModel }),
    dataset: training.id,
    ...(validation && { validationDataset: validation.id }),
    ...(test && { testDataset: test.id }),
    ...(labelWords.length > 0 && { labelWords }),
    ...(keepWeights && { keepWeights }),
    hyperparameters: settingsIn(settingTexts(draft)),
    ...more,
  };
}
