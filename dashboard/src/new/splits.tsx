/** Which rows validate and test a run: a share of those given, or datasets of their own. */
import { formatCounted } from "../format.ts";
import { Field } from "../parts/form/field.tsx";
import { isSplit, type Change, type Draft, type NamedRows } from "./draft.ts";
import { largestSplit } from "./store-rows.ts";
import { OtherRows } from "./stored-rows.tsx";

interface SplitsProps {
  readonly draft: Draft;
  readonly change: Change;
  readonly datasets: readonly NamedRows[];
}

const kinds = { share: "A share of these rows", datasets: "Other stored rows, or none" } as const;

export function Splits({ draft, change, datasets }: SplitsProps) {
  const canSplit = draft.form !== null;
  const chosen = isSplit(draft) ? "share" : "datasets";
  return (
    <fieldset class="choices">
      <legend>Rows to validate and test with</legend>
      {(["share", "datasets"] as const).map((splits) => (
        <label key={splits} class="check">
          <input
            type="radio"
            name="splits"
            disabled={splits === "share" && !canSplit}
            checked={chosen === splits}
            onChange={() => change({ splits })}
          />
          {kinds[splits]}
        </label>
      ))}
      {!canSplit && (
        <p class="muted">
          Only JSON Lines of up to {inMiB(largestSplit.JSONL)}, parquet of up to {inMiB(largestSplit.PARQUET)} and CSV
          of up to {inMiB(largestSplit.CSV)} are split here. Store validation rows first, then choose them below.
        </p>
      )}
      {chosen === "datasets" ? <OtherRows {...{ draft, change, datasets }} /> : <Shares {...{ draft, change }} />}
    </fieldset>
  );
}

const inMiB = (bytes: number) => formatCounted(bytes / 1024 ** 2, "MiB", "MiB");

const shares = [
  ["validationShare", "Validation, % of the rows"],
  ["testShare", "Test, % of the rows"],
  ["splitSeed", "Seed of the split"],
] as const;

function Shares({ draft, change }: { draft: Draft; change: Change }) {
  return (
    <>
      <div class="grid">
        {shares.map(([name, label]) => (
          <Field key={name} label={label} name={name}>
            {(shared) => (
              <input
                {...shared}
                inputMode="numeric"
                value={draft[name]}
                onInput={({ currentTarget }) => change({ [name]: currentTarget.value })}
              />
            )}
          </Field>
        ))}
      </div>
      <p class="muted">
        The rows are drawn at random by the seed: the same rows and seed give the same parts. Rows with the same prompt
        stay together.
      </p>
    </>
  );
}
