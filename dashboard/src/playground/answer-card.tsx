/** What one model answered to one thing: its text as it comes, or a bar for each label; how long it took; what went wrong. */
import type { Classification } from "../../../client/browser.ts";
import type { FinishReason } from "../../../client/schema-types.ts";
import { useMay } from "../api/viewer.ts";
import { formatShare, none } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { figuresOf, isGoing, type Answer } from "./answers.ts";
import type { PlayedModel } from "./models.ts";
import { sharesOf } from "./request.ts";

interface CardProps {
  readonly model: PlayedModel;
  /** Of a conversation, which has others. */
  readonly turn: number | null;
  /** Undefined until it is asked. */
  readonly answer: Answer | undefined;
  /** Why it cannot be asked. */
  readonly refusal: string | undefined;
  readonly onAsk: () => void;
}

export function AnswerCard({ model, turn, answer, refusal, onAsk }: CardProps) {
  const { label } = model;
  const mayAsk = useMay()("INFER");
  const which = turn === null ? label : `${label}, turn ${turn}`;
  const going = answer !== undefined && isGoing(answer);
  return (
    <section class="answer card" aria-label={`Answer of ${which}`} aria-busy={going}>
      <header>
        <h3 title={label}>{label}</h3>
        {refusal === undefined && !going && mayAsk && (
          <button type="button" class="quiet" aria-label={`${answer ? "Again" : "Ask"}: ${which}`} onClick={onAsk}>
            {answer ? "Again" : "Ask"}
          </button>
        )}
      </header>
      {answer ? <Body answer={answer} /> : <p class="muted">{refusal ?? "Not asked yet."}</p>}
    </section>
  );
}

function Body({ answer }: { answer: Answer }) {
  const { status, text, labels, failure, waiting, finish, seed } = answer;
  const figures = [
    ...figuresOf(answer),
    ...(finish === null ? [] : [endings[finish]]),
    ...(seed !== null && !isGoing(answer) ? [`seed ${seed}`] : []),
  ];
  return (
    <>
      {text !== "" && (
        <p class="said">
          {text}
          {status === "WRITING" && <span class="caret" aria-hidden="true" />}
        </p>
      )}
      {labels && <Bars scores={labels.scores} best={labels.label} />}
      {status === "ASKING" && <p class="muted">{waiting ?? "Asking…"}</p>}
      {status === "DONE" && text === "" && !labels && <p class="muted">It ended without a word.</p>}
      {failure && <Problem title="No answer" failure={failure} />}
      {(figures.length > 0 || status === "STOPPED") && (
        <p class="figures-line muted">{[...(status === "STOPPED" ? ["stopped"] : []), ...figures].join(" · ")}</p>
      )}
    </>
  );
}

const endings: Readonly<Record<FinishReason, string>> = {
  END: "ended by itself",
  STOP: "ended at a stop text",
  LENGTH: "cut at maxTokens",
  CANCELLED: "cancelled",
};

/** The words around a label are as the model reads them: a space before it is shown. */
function Bars({ scores, best }: { scores: Classification["scores"]; best: string | null }) {
  const shares = sharesOf(scores.map(({ score }) => score));
  return (
    <table class="bars">
      <thead class="hidden">
        <tr>
          <th scope="col">Label</th>
          <th scope="col">Share</th>
        </tr>
      </thead>
      <tbody>
        {scores.map(({ label, score }, index) => {
          const share = shares[index] ?? null;
          return (
            <tr key={label} class={label === best ? "best" : ""}>
              <th scope="row">
                “{label}”{label === best && <span class="hidden">, chosen</span>}
              </th>
              <td title={`mean log-probability ${score ?? none}`}>
                <span class="bar-track" aria-hidden="true">
                  <span style={{ width: `${(share ?? 0) * 100}%` }} />
                </span>
                <span class="share">{formatShare(share)}</span>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
