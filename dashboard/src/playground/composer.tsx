/** What is to be asked, and how. Ctrl+Enter, or Cmd+Enter, sends. */
import { useId } from "preact/hooks";
import type { Mode } from "./address.ts";
import { choiceOf, type Suggested } from "./request.ts";
import { session, write } from "./session.ts";
import { Settings } from "./settings.tsx";

interface ComposerProps {
  readonly mode: Mode;
  readonly suggested: Suggested | null;
  /** What is wrong with settings, by their names. */
  readonly wrong: ReadonlyMap<string, string>;
  readonly isGoing: boolean;
  /** Why nothing can be sent; null if it can. */
  readonly hindrance: string | null;
  readonly onSend: () => void;
  readonly onStop: () => void;
}

const words = {
  text: ["Text", "The models continue after the last word."],
  chat: ["Message", "What you say next."],
  labels: ["Text before the label", "The models say which label is likeliest after the last word."],
} as const;

export function Composer({ mode, suggested, wrong, isGoing, hindrance, onSend, onStop }: ComposerProps) {
  const { prompts } = session.value;
  const [label, help] = words[mode];
  const isEmpty = prompts[mode] === "";
  const submit = (event: Event) => {
    event.preventDefault();
    if (hindrance === null && !isEmpty && !(mode === "chat" && isGoing)) onSend();
  };
  return (
    <form
      class="composer card"
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
      }}
    >
      <Area
        label={label}
        help={help}
        rows={mode === "chat" ? 2 : 4}
        value={prompts[mode]}
        onValue={(value) => write({ prompts: { ...session.value.prompts, [mode]: value } })}
      />
      {mode === "labels" && <Choice suggested={suggested} />}
      {mode !== "labels" && <Settings wrong={wrong} />}
      <div class="actions">
        <p class="muted">{hindrance}</p>
        {isGoing && (
          <button type="button" onClick={onStop}>
            Stop
          </button>
        )}
        <button
          type="submit"
          class="primary"
          disabled={hindrance !== null || isEmpty || (mode === "chat" && isGoing)}
          title="Ctrl+Enter or Cmd+Enter"
          aria-keyshortcuts="Control+Enter Meta+Enter"
        >
          Send
        </button>
      </div>
    </form>
  );
}

interface AreaProps {
  readonly label: string;
  readonly help: string;
  readonly rows: number;
  readonly value: string;
  readonly onValue: (value: string) => void;
}

export function Area({ label, help, rows, value, onValue }: AreaProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={rows}
        value={value}
        aria-describedby={`${id}-help`}
        onInput={({ currentTarget }) => onValue(currentTarget.value)}
      />
      <small id={`${id}-help`}>{help}</small>
    </div>
  );
}

/** The labels of the run that one of the models was trained by, until somebody writes others. */
function Choice({ suggested }: { suggested: Suggested | null }) {
  const { labels, calibration } = choiceOf(session.value, suggested);
  const own = session.value.labels;
  const isOther = suggested !== null && own !== null && own !== suggested.labels.join("\n");
  return (
    <div class="columns">
      <div class="field">
        <Area
          label="Labels"
          help="One a line. A space before a label counts: most models read words with it."
          rows={3}
          value={own ?? labels.join("\n")}
          onValue={(value) => write({ labels: value })}
        />
        {isOther && (
          <p>
            <button type="button" class="quiet" onClick={() => write({ labels: null, calibration: null })}>
              Take those of “{suggested.run}”
            </button>
          </p>
        )}
      </div>
      <Area
        label="Calibration prompt"
        help="May be empty. A text without content, such as “It was”: a label's score is then how much likelier your text makes it than this one."
        rows={3}
        value={calibration}
        onValue={(value) => write({ calibration: value })}
      />
    </div>
  );
}
