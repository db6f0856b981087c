/** One prompt, one to four models beside each other: is it better than before? */
import { useEffect, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { needsScope, useMay } from "../api/viewer.ts";
import { Confirm } from "../parts/confirm.tsx";
import { placeIssues } from "../parts/form/field-errors.ts";
import { Problem } from "../parts/problem.tsx";
import { addressIn, modeNames, mostModels, playgroundPath, type Address, type Mode } from "./address.ts";
import { isGoing } from "./answers.ts";
import { announced, clear, resume, send, stop, type Players } from "./asking.ts";
import { CodeDialog } from "./code-dialog.tsx";
import { Area, Composer } from "./composer.tsx";
import { useModels, useRefusals, type PlayedModel } from "./models.ts";
import { Picker } from "./picker.tsx";
import { requestOf, suggestedBy } from "./request.ts";
import { Rounds } from "./rounds.tsx";
import { session, settingNames, write, type Round } from "./session.ts";

export function PlaygroundPage() {
  const { query, route } = useLocation();
  const address = addressIn(query);
  const { mode } = address;
  const models = useModels(address.models);
  const refusals = useRefusals(models, mode);
  const mayAsk = useMay()("INFER");
  const [coding, setCoding] = useState(false);
  const [clearing, setClearing] = useState(false);
  useEffect(() => {
    document.title = "Playground · Steplog";
    resume();
  }, []);
  const show = (change: Partial<Address>) => {
    const next = { ...address, ...change };
    route(playgroundPath(next.models, next.mode), true);
  };
  const written = session.value;
  const rounds = written.rounds[mode];
  const able = models.filter(({ key }) => !refusals.has(key));
  const suggested = suggestedBy(models);
  const players: Players = { models: able, mode, suggested };
  const going = rounds.some(({ answers }) => Object.values(answers).some(isGoing));
  const composer = (
    <Composer
      mode={mode}
      suggested={suggested}
      wrong={wrongSettings(rounds, models)}
      isGoing={going}
      hindrance={mayAsk ? (able.length > 0 ? null : "None of these models can be asked this way.") : mayNotAsk}
      onSend={() => send(players)}
      onStop={() => stop(mode)}
    />
  );
  const shown = <Rounds models={models} refusals={refusals} players={players} rounds={rounds} />;
  return (
    <>
      <div class="title">
        <h1>Playground</h1>
        <button type="button" disabled={able.length === 0} onClick={() => setCoding(true)}>
          View code
        </button>
        <button type="button" onClick={() => (mode === "chat" && rounds.length > 0 ? setClearing(true) : clear(mode))}>
          Clear
        </button>
      </div>
      <Models
        models={models}
        refusals={refusals}
        chosen={address.models}
        isAsked={rounds.length > 0}
        onChange={(keys) => show({ models: keys })}
      />
      {models.length > 0 && (
        <>
          <Modes mode={mode} onMode={(one) => show({ mode: one })} />
          {mode === "chat" ? (
            <>
              <div class="card">
                <Area
                  label="System message"
                  help="May be empty. Said before the conversation: who the model is, and how it answers."
                  rows={1}
                  value={written.system}
                  onValue={(system) => write({ system })}
                />
              </div>
              {shown}
              {composer}
            </>
          ) : (
            <>
              {composer}
              {shown}
            </>
          )}
        </>
      )}
      <p class="hidden" role="status">
        {announced.value}
      </p>
      {coding && (
        <CodeDialog
          models={able}
          requestOf={(model) =>
            requestOf(model, mode, { prompt: written.prompts[mode], at: rounds.length }, written, suggested)
          }
          onClose={() => setCoding(false)}
        />
      )}
      {clearing && (
        <Confirm
          title="Clear this conversation?"
          action="Clear it"
          danger
          onConfirm={() => Promise.resolve(clear(mode))}
          onClose={() => setClearing(false)}
        >
          <p>Its turns are kept nowhere else. The system message and the settings stay.</p>
        </Confirm>
      )}
    </>
  );
}

const mayNotAsk = `Your key may not ask models. To ask them, ${needsScope("INFER")}.`;

/** What the service found wrong with the settings of the last round. */
function wrongSettings(rounds: readonly Round[], models: readonly PlayedModel[]): ReadonlyMap<string, string> {
  const answers = models.map(({ key }) => rounds.at(-1)?.answers[key]);
  const issues = answers.flatMap((one) => one?.failure?.issues ?? []);
  const { fields } = placeIssues(issues, new Set<string>(settingNames));
  return new Map([...fields].map(([name, message]) => [name, message.split("; ")[0] ?? message]));
}

interface ModelsProps {
  readonly models: readonly PlayedModel[];
  readonly refusals: ReadonlyMap<string, string>;
  readonly chosen: readonly string[];
  /** Whether there are answers below. */
  readonly isAsked: boolean;
  readonly onChange: (keys: readonly string[]) => void;
}

function Models({ models, refusals, chosen, isAsked, onChange }: ModelsProps) {
  const [picking, setPicking] = useState(false);
  const button = (
    <button type="button" class={models.length === 0 ? "primary" : ""} onClick={() => setPicking(true)}>
      Add a model
    </button>
  );
  return (
    <>
      {models.length === 0 ? (
        <div class="empty card">
          <p>
            Ask one to four models the same, and read their answers beside each other: a base model and what became of
            it.
          </p>
          {button}
        </div>
      ) : (
        <ul class="played">
          {models.map(({ key, label, about }) => (
            <li key={key} class={refusals.has(key) ? "refused" : ""}>
              <span>
                <strong>{label}</strong> <small class="muted">{about}</small>
              </span>
              <button
                type="button"
                class="quiet"
                aria-label={`Remove ${label}`}
                onClick={() => onChange(chosen.filter((one) => one !== key))}
              >
                ×
              </button>
            </li>
          ))}
          {models.length < mostModels && <li class="add">{button}</li>}
        </ul>
      )}
      {models.map(({ key, label, failure }) =>
        failure ? <Problem key={key} title={`${label} is not known`} failure={failure} /> : null,
      )}
      {/* Later their cards say so. */}
      {[...(isAsked ? [] : refusals)].map(([key, why]) => (
        <p key={key} class="notice" role="status">
          {why}
        </p>
      ))}
      {picking && (
        <Picker chosen={chosen} onChoose={(key) => onChange([...chosen, key])} onClose={() => setPicking(false)} />
      )}
    </>
  );
}

function Modes({ mode, onMode }: { mode: Mode; onMode: (mode: Mode) => void }) {
  return (
    <div class="segments" role="group" aria-label="How to ask">
      {(Object.entries(modeNames) as [Mode, string][]).map(([one, name]) => (
        <button key={one} type="button" aria-pressed={one === mode} onClick={() => onMode(one)}>
          {name}
        </button>
      ))}
    </div>
  );
}
