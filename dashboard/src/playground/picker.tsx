/** Chooses one more model: by search, among aliases, base models, and the checkpoints of runs. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useAnswer } from "../api/query.ts";
import { needsScope, useMay } from "../api/viewer.ts";
import { formatInteger, formatLoss, formatShare } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { toldApart } from "../parts/told-apart.ts";
import { useTyped } from "../parts/typed.ts";
import { checkpointLabel } from "./models.ts";
import { playNames, playRuns, type PlayRunsQuery } from "./operations.ts";

interface PickerProps {
  /** Keys of models that are there already. */
  readonly chosen: readonly string[];
  readonly onChoose: (key: string) => void;
  readonly onClose: () => void;
}

interface Choice {
  readonly key: string;
  readonly label: string;
  readonly about: string;
}

/** Open as long as it is rendered. */
export function Picker({ chosen, onChoose, onClose }: PickerProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [search, setSearch] = useState("");
  const searchFor = useTyped((text) => setSearch(text.trim()));
  const reads = useMay()("READ");
  const names = useAnswer(playNames, { reads });
  const runs = useAnswer(playRuns, { name: search }, { skip: !reads });
  useEffect(() => dialog.current?.showModal(), []);
  const fits = (name: string) => name.toLowerCase().includes(search.toLowerCase());
  const groups: readonly (readonly [string, readonly Choice[]])[] = [
    [
      "Aliases",
      (names.data?.aliases ?? [])
        .filter(({ name }) => fits(name))
        .map(({ name, baseModel, checkpoint }) => ({
          key: name,
          label: name,
          about: `now ${checkpoint ? checkpointLabel(checkpoint) : baseModel.name}`,
        })),
    ],
    [
      "Base models",
      (names.data?.baseModels.nodes ?? [])
        .filter(({ name }) => fits(name))
        .map(({ name, family }) => ({ key: name, label: name, about: family })),
    ],
    ["Runs", (runs.data?.fineTunes.nodes ?? []).flatMap(choicesOf)],
  ];
  const labels = toldApart(
    groups.flatMap(([, choices]) => choices.map(({ key, label }) => ({ id: key, name: label }))),
  );
  const there = groups
    .map(([name, choices]) => [name, choices.filter(({ key }) => !chosen.includes(key))] as const)
    .filter(([, choices]) => choices.length > 0);
  const failure = names.failure ?? runs.failure;
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} class="picker">
      <h2 id={id}>Add a model</h2>
      <label>
        <span class="hidden">Search by name</span>
        <input
          type="search"
          placeholder="Search by name"
          onInput={({ currentTarget: { value } }) => searchFor(value)}
        />
      </label>
      {failure && <Problem title="The models could not be read" failure={failure} />}
      <div class="model-choices">
        {there.map(([name, choices]) => (
          <section key={name} aria-label={name}>
            <h3>{name}</h3>
            {choices.map(({ key, label, about }) => (
              <button
                key={key}
                type="button"
                onClick={() => {
                  onChoose(key);
                  dialog.current?.close();
                }}
              >
                <span>{labels.get(key) ?? label}</span> <small class="muted">{about}</small>
              </button>
            ))}
          </section>
        ))}
        {there.length === 0 && (
          <p class="muted" role="status">
            {names.loading || runs.loading
              ? "Loading…"
              : "No other model fits. A run can be asked from its first checkpoint on."}
          </p>
        )}
      </div>
      {!reads && (
        <p class="muted">
          Your key may not see runs. A checkpoint that has an alias can be asked by it; to choose any other,{" "}
          {needsScope("READ")}.
        </p>
      )}
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}

/** The best of a run, then its latest checkpoints. */
function choicesOf(run: PlayRunsQuery["fineTunes"]["nodes"][number]): readonly Choice[] {
  const { id, name, baseModel, bestEvaluation: best, checkpoints } = run;
  if (checkpoints.nodes.length === 0) return [];
  const about = `tuned from ${baseModel.name}`;
  const result = best && (best.accuracy === null ? `loss ${formatLoss(best.loss)}` : formatShare(best.accuracy));
  const which = best ? `best, step ${formatInteger(best.step)}` : "last checkpoint";
  return [
    { key: id, label: `${name}, ${which}`, about: result ? `${result}, ${about}` : about },
    ...checkpoints.nodes.map((one) => ({ key: one.id, label: `${name}, step ${formatInteger(one.step)}`, about })),
  ];
}
