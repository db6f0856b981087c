/** A new run, in three steps: its rows, its base model, its settings. What was filled in stays until the run is created. */
import { useEffect, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import type { Failure } from "../api/failure.ts";
import { asFailure } from "../api/failure.ts";
import { change as mutate, useAnswer } from "../api/query.ts";
import { needsScope, useMay } from "../api/viewer.ts";
import { runPath } from "../base.ts";
import { formatCounted } from "../format.ts";
import { textIssues } from "../parts/form/settings.ts";
import { Problem } from "../parts/problem.tsx";
import { DataStep } from "./data-step.tsx";
import {
  dataOf,
  emptyDraft,
  forget,
  inputOf,
  labelWordsOf,
  nameOf,
  settingTexts,
  useDraft,
  type Draft,
  type StepName,
} from "./draft.ts";
import { useRunToCopy } from "./from-run.ts";
import { useIdempotencyKey } from "./keys.ts";
import { kindNames } from "./kinds.ts";
import { modelChoices, ModelStep } from "./model-step.tsx";
import { createFineTune, models as modelsQuery } from "./operations.ts";
import { firstStepOf, problemOf } from "./problems.ts";
import { partsInWords } from "./split.ts";
import { SettingsStep } from "./settings-step.tsx";
import { useStartWith } from "./start-with.ts";
import { Step } from "./step.tsx";
import { useEstimate } from "./use-estimate.ts";

const steps: readonly StepName[] = ["data", "model", "settings"];

/** Workers come and go, and a registration takes a while. */
const modelsMs = 2_000;

export function NewPage() {
  const mayTrain = useMay()("TRAIN");
  useEffect(() => {
    document.title = "New run · Steplog";
  }, []);
  if (mayTrain) return <NewRun />;
  return (
    <>
      <div class="title">
        <h1>New run</h1>
      </div>
      <p>Your key may not create runs. To create one, {needsScope("TRAIN")}.</p>
    </>
  );
}

function NewRun() {
  const { query } = useLocation();
  const [draft, change] = useDraft();
  const copyFailure = useRunToCopy(query["from"], draft, change);
  const startFailure = useStartWith(query, change);
  const models = useAnswer(modelsQuery, {}, { everyMs: modelsMs });
  const listed = models.data ? modelChoices(models.data) : [];
  const usual = listed.find(({ why }) => why === null) ?? (listed.length === 1 ? listed[0] : undefined);
  useEffect(() => {
    if (draft.baseModel === "" && usual) change({ baseModel: usual.name });
  }, [draft.baseModel, usual?.name]);

  const wrong = wrongTexts(draft);
  const input = inputOf(draft);
  const estimated = useEstimate(wrong === null ? input : null);
  const { busy, refused, attempts, create } = useCreate(draft, wrong, (step) => change({ open: step }));
  const failure = refused ?? wrong ?? estimated.failure;
  const toggle = (step: StepName) => change({ open: draft.open === step ? null : step });
  const step = (name: StepName) => ({
    open: draft.open === name,
    ahead: draft.open !== null && steps.indexOf(draft.open) < steps.indexOf(name),
    wrong: problemOf(failure, name) !== null,
    onToggle: () => toggle(name),
  });
  return (
    <>
      <div class="title">
        <h1>New run</h1>
        <button type="button" class="quiet" onClick={() => change({ ...emptyDraft, copied: draft.copied })}>
          Clear all
        </button>
      </div>
      {copyFailure && <Problem title="That run cannot be copied" failure={copyFailure} />}
      {startFailure && <Problem title="Those rows cannot be used" failure={startFailure} />}
      {draft.copied && <p class="muted">Filled in from “{draft.copied.name}”. Change what is to differ.</p>}
      <Step number={1} title="Data" summary={dataInWords(draft)} {...step("data")}>
        <DataStep
          {...{ draft, change }}
          problem={problemOf(failure, "data")}
          model={draft.baseModel || (listed[0]?.name ?? "")}
          onDone={() => change({ open: "model" })}
        />
      </Step>
      <Step number={2} title="Model" summary={modelInWords(draft)} {...step("model")}>
        <ModelStep
          {...{ draft, change, models }}
          problem={problemOf(failure, "model")}
          onDone={() => change({ open: "settings" })}
        />
      </Step>
      <Step number={3} title="Settings" summary={settingsInWords(draft)} {...step("settings")}>
        <SettingsStep
          {...{ draft, change, estimated, input, busy, attempts }}
          problem={problemOf(failure, "settings")}
          onCreate={() => void create()}
        />
      </Step>
    </>
  );
}

/** What the page can tell to be wrong itself. */
function wrongTexts(draft: Draft): Failure | null {
  const issues = textIssues(settingTexts(draft));
  return issues.length === 0 ? null : { code: "INVALID_ARGUMENT", message: "See the marked fields.", issues };
}

/** Creating the run: a refusal stays until something changes, and opens the step in which it can be mended. */
function useCreate(draft: Draft, wrong: Failure | null, open: (step: StepName) => void) {
  const { route } = useLocation();
  const key = useIdempotencyKey();
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Failure | null>(null);
  const [attempts, setAttempts] = useState(0);
  const content = JSON.stringify(inputOf(draft));
  useEffect(() => setRefused(null), [content]);

  const refuse = (failure: Failure) => {
    setRefused(failure);
    setAttempts((count) => count + 1);
    open(firstStepOf(failure));
  };
  const create = async () => {
    const input = inputOf(draft);
    const missing = missingIn(draft);
    if (missing ?? wrong ?? input === null) return refuse(missing ?? wrong ?? unfilled);
    setBusy(true);
    try {
      const { createFineTune: created } = await mutate(createFineTune, {
        input: { ...input, idempotencyKey: key(content) },
      });
      forget();
      route(runPath(created.fineTune.id));
    } catch (error) {
      refuse(asFailure(error));
      setBusy(false);
    }
  };
  return { busy, refused, attempts, create };
}

const unfilled: Failure = { code: "INVALID_ARGUMENT", message: "Something is missing.", issues: [] };

function missingIn(draft: Draft): Failure | null {
  const issues = [
    ...(dataOf(draft).training ? [] : [{ field: "dataset", message: "Store rows, or choose stored ones, first." }]),
    ...(draft.baseModel === "" && !draft.from ? [{ field: "baseModel", message: "Choose a base model first." }] : []),
  ];
  return issues.length === 0 ? null : { code: "INVALID_ARGUMENT", message: "Something is missing.", issues };
}

function dataInWords(draft: Draft): string | null {
  const { training, validation, test } = dataOf(draft);
  if (!training) return null;
  const parts = Object.entries({ training, validation, test }).flatMap(([of, part]) =>
    part ? [{ of: of as "training" | "validation" | "test", rows: part.rows }] : [],
  );
  const words = labelWordsOf(draft);
  const labels = words.length > 0 ? ` Label words: ${words.map((word) => JSON.stringify(word)).join(", ")}.` : "";
  return `${training.name}: ${partsInWords(parts)}.${labels}`;
}

function modelInWords({ baseModel, from }: Draft): string | null {
  if (from) return `A checkpoint at ${formatCounted(from.step, "step")} of a run of ${baseModel}.`;
  return baseModel === "" ? null : baseModel;
}

function settingsInWords(draft: Draft): string {
  const [kind, name] = [kindNames[draft.kind], nameOf(draft)];
  return name === "" ? `${kind}.` : `${kind}, named “${name}”.`;
}
