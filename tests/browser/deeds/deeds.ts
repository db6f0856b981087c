/** Every deed of the page: where it is done, how, which mutation it sends, and what it needs of a key. */
import type { Right } from "../../../dashboard/src/api/viewer.ts";
import type { PlaceName } from "./places.ts";

export interface Deed {
  readonly mutation: string;
  readonly needs: Right;
  readonly at: PlaceName;
  /** The button, or the line of a menu, that begins it. */
  readonly begins: string;
  /** The menu that has it. */
  readonly menu?: string;
  /** Runs that are selected first, in their list. */
  readonly select?: string;
  /** Only who may train sees the page that has it. */
  readonly trains?: true;
  /** A step of the page that is opened first. */
  readonly step?: string;
  /** What is typed, by the labels of its fields. */
  readonly type?: Readonly<Record<string, string>>;
  /** The button that does it, where something is asked first. */
  readonly press?: string | RegExp;
  /** Whoever may not do it is told there how else it is done. */
  readonly explained?: true;
}

const endedMenu = "More actions of ended";
const checkpointMenu = "Actions of step 2";
const keyMenu = "Actions of the key WRITE";
const projectMenu = "Actions of the project others";
const webhookMenu = "More actions of the webhook http://localhost:1/hook";

type How = Omit<Deed, "mutation" | "needs" | "at" | "begins">;
const by =
  (needs: Right) =>
  (at: PlaceName, mutation: string, begins: string, how: How = {}): Deed => ({ needs, at, mutation, begins, ...how });
const [train, write, infer, admin, operator] = [by("TRAIN"), by("WRITE"), by("INFER"), by("ADMIN"), by("OPERATOR")];

export const deeds: readonly Deed[] = [
  train("runs", "LabelFineTune", "Archive", { select: "ended" }),
  train("runs", "LabelFineTune", "Tags", {
    select: "ended",
    type: { "Add tags, separated by commas": "one, two" },
    press: "Save",
  }),
  train("runs", "StopFineTune", "Cancel", { select: "going", press: "Cancel them" }),
  train("runs", "DeleteFineTune", "Delete", { select: "ended", press: "Delete them" }),
  train("ended", "ContinueFineTune", "Continue", { type: { "Additional steps": "7" }, press: "Start" }),
  train("ended", "UpdateFineTune", "Rename or tag", { menu: endedMenu, type: { Name: "other" }, press: "Save" }),
  train("ended", "UpdateFineTune", "Archive", { menu: endedMenu }),
  train("ended", "DeleteRun", "Delete", { menu: endedMenu, press: "Delete run" }),
  train("ended", "MaterialiseCheckpoint", "Rebuild the weights of step 2"),
  train("ended", "MaterialiseCheckpoint", "Rebuild the weights", { menu: checkpointMenu }),
  train("ended", "MaterialiseCheckpoint", "Weights in other forms", {
    menu: checkpointMenu,
    type: { "Number format": "FLOAT16" },
    press: "Make them",
  }),
  train("ended", "DeleteCheckpoint", "Delete", { menu: checkpointMenu, press: "Delete checkpoint" }),
  train("ended", "CreateFineTune", "Fork", {
    menu: checkpointMenu,
    type: { "Name of the fork": "forked" },
    press: "Start fork",
  }),
  train("going", "PauseFineTune", "Pause"),
  train("going", "CancelFineTune", "Cancel run", { menu: "More actions of going", press: "Cancel run" }),
  train("paused", "ResumeFineTune", "Resume"),
  train("sweep", "CancelSweep", "Cancel its runs", { menu: "More actions of rates", press: "Cancel runs" }),
  train("sweep", "DeleteSweep", "Delete", { menu: "More actions of rates", press: "Delete sweep" }),
  train("new sweep", "CreateSweep", "Take 3e-7, 1e-6, 3e-6", {
    type: { "Name of the sweep": "many" },
    press: /^Start 3/u,
  }),
  write("ended", "SetAlias", "Give it an alias", { menu: checkpointMenu, type: { Alias: "best" }, press: "Set alias" }),
  write("ended", "RollBackAlias", "Roll back “live”", { menu: checkpointMenu, press: "Roll back" }),
  write("ended", "RemoveAlias", "Remove “live”", { menu: checkpointMenu, press: "Remove it" }),
  write("datasets", "SetDatasetExpiry", "Set when it ends", {
    menu: "Actions of reviews",
    type: { "It ends": "365" },
    press: "Set",
  }),
  write("datasets", "DeleteDataset", "Delete", { menu: "Actions of reviews", press: "Delete it" }),
  write("models", "RegisterFoundModel", "Register folder"),
  write("new run", "RegisterBaseModel", "Register folder", { trains: true, step: "Model" }),
  infer("ended", "AskForAnswers", "Ask both models"),
  infer("ended", "EvaluateCheckpoint", "Evaluate on a dataset", { menu: checkpointMenu, press: "Evaluate" }),
  operator("models", "AddBaseModel", "Add a model", {
    type: { "Repository on the Hugging Face hub": "some/model" },
    press: "Download it",
    explained: true,
  }),
  operator("models", "AddBaseModel", "Try again: private"),
  operator("models", "CancelModelDownload", "Forget private"),
  operator("model", "DeleteBaseModel", "Delete", { menu: "More actions of bytes", press: "Delete it" }),
  admin("keys", "MakeKey", "New key", {
    type: { "Name: what it is for, or who has it": "nightly" },
    press: "Make the key",
  }),
  admin("keys", "RotateKey", "Rotate…", {
    menu: keyMenu,
    type: { "The old key ends": "3600" },
    press: "Make its successor",
  }),
  admin("keys", "RenameKey", "Rename…", { menu: keyMenu, type: { Name: "writes" }, press: "Rename" }),
  admin("keys", "RevokeKey", "Revoke…", { menu: keyMenu, press: "Revoke it" }),
  admin("keys", "DeleteKey", "Delete…", { menu: "Actions of the key ended key", press: "Delete it" }),
  operator("keys", "SetRates", "Rate limits…", { menu: keyMenu, press: "Set the limits" }),
  operator("projects", "MakeProject", "New project", { type: { Name: "third" }, press: "Create the project" }),
  operator("projects", "RenameProject", "Rename…", {
    menu: projectMenu,
    type: { Name: "them" },
    press: "Rename",
  }),
  operator("projects", "SetQuotas", "Quotas…", {
    menu: projectMenu,
    type: { "Steps in a month": "1000" },
    press: "Set the quotas",
  }),
  operator("projects", "EraseProject", "Erase…", {
    menu: projectMenu,
    type: { "Type its name, others, to confirm": "others" },
    press: "Erase it for good",
  }),
  admin("projects", "SetKeep", "How long it keeps things…", {
    menu: "Actions of the project default",
    type: { "Datasets (days)": "30" },
    press: "Set the times",
  }),
  admin("webhooks", "MakeWebhook", "New webhook", {
    type: { "Address that receives the messages": "https://example.com/hook" },
    press: "Create the webhook",
  }),
  admin("webhook", "TestWebhook", "Send a test"),
  admin("webhook", "ChangeWebhook", "Change…", {
    menu: webhookMenu,
    type: { "What it is for": "builds" },
    press: "Save",
  }),
  admin("webhook", "ChangeWebhook", "Disable", { menu: webhookMenu }),
  admin("webhook", "SendAgain", "Send everything again since…", {
    menu: webhookMenu,
    type: { Since: "2026-01-01T00:00" },
    press: "Send again",
  }),
  admin("webhook", "RenewWebhookSecret", "New secret…", {
    menu: webhookMenu,
    press: "Make a new secret",
  }),
  admin("webhook", "RemoveWebhook", "Delete…", {
    menu: webhookMenu,
    press: "Delete it",
  }),
];

/** What leads to a deed on another page, or is sent as a file. */
export const ways: readonly Pick<Deed, "needs" | "at" | "begins">[] = [
  { at: "runs", needs: "TRAIN", begins: "New run" },
  { at: "ended", needs: "TRAIN", begins: "Copy to a new run" },
  { at: "ended", needs: "TRAIN", begins: "Sweep from this run" },
  { at: "ended", needs: "INFER", begins: "Try it" },
  { at: "dataset", needs: "TRAIN", begins: "Tune a model on it" },
  { at: "dataset", needs: "WRITE", begins: "Set when it ends" },
  { at: "datasets", needs: "WRITE", begins: "Add a dataset" },
  { at: "model", needs: "TRAIN", begins: "Tune it" },
  { at: "model", needs: "INFER", begins: "Try it" },
];

/** Sent by the page itself, to clean up after a deed that failed. */
export const quiet = ["DiscardRows"];
