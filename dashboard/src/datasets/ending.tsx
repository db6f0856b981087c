/** Says when a dataset is to be deleted by itself. */
import { useState } from "preact/hooks";
import { change } from "../api/query.ts";
import { formatTime } from "../format.ts";
import { commands } from "../parts/commands.ts";
import { steplog } from "../parts/copy-as.tsx";
import { Field } from "../parts/form/field.tsx";
import { FormDialog } from "../parts/form/form-dialog.tsx";
import { toast } from "../parts/toast.tsx";
import { setDatasetExpiry } from "./operations.ts";

interface EndingProps {
  readonly dataset: { readonly id: string; readonly name: string; readonly expiresAt: string | null };
  readonly onSet: () => unknown;
  readonly onClose: () => void;
}

const daySeconds = 86_400;
const choices = [
  ["7", "In 7 days"],
  ["30", "In 30 days"],
  ["365", "In a year"],
  ["at", "At a time I choose"],
  ["never", "Never"],
] as const;

export function Ending({ dataset: { id, name, expiresAt }, onSet, onClose }: EndingProps) {
  const [choice, setChoice] = useState("30");
  const [time, setTime] = useState("");
  const save = async () => {
    const answer = await change(setDatasetExpiry, { id, expiry: expiryOf(choice, time) });
    const end = answer.setExpiry.expiresAt;
    toast(end === null ? `“${name}” is kept until somebody deletes it.` : `“${name}” ends on ${formatTime(end)}.`);
    await onSet();
  };
  return (
    <FormDialog
      title={`When “${name}” ends`}
      action="Set"
      failed="The time was not set"
      cancel="Keep it as it is"
      onSend={save}
      repeat={() => ({
        what: "the time of its end",
        operation: setDatasetExpiry,
        variables: { id, expiry: expiryOf(choice, time) },
        command: steplog(commands.expireDataset(id, expiryOf(choice, time))),
      })}
      onClose={onClose}
    >
      <p>
        {expiresAt === null ? "It is kept until somebody deletes it." : `It ends on ${formatTime(expiresAt)}.`} What
        ends is deleted, unless something that goes on needs it then.
      </p>
      <Field label="It ends" name="expiry">
        {(shared) => (
          <select {...shared} value={choice} onChange={({ currentTarget }) => setChoice(currentTarget.value)}>
            {choices.map(([value, words]) => (
              <option key={value} value={value} selected={value === choice}>
                {words}
              </option>
            ))}
          </select>
        )}
      </Field>
      {choice === "at" && (
        <Field label="Date and time, by this computer’s clock" name="at">
          {(shared) => (
            <input
              {...shared}
              type="datetime-local"
              required
              value={time}
              onInput={({ currentTarget }) => setTime(currentTarget.value)}
            />
          )}
        </Field>
      )}
    </FormDialog>
  );
}

/** @param time as the field has it; "" until one is chosen, when what is copied has none either */
function expiryOf(choice: string, time: string) {
  if (choice === "never") return { never: true };
  if (choice === "at") return { at: time === "" ? "" : new Date(time).toISOString() };
  return { ttl: Number(choice) * daySeconds };
}
