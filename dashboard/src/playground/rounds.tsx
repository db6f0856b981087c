/** What was asked, and the answers of all models beside each other. A conversation has the turns above each other. */
import { useState } from "preact/hooks";
import { useMay } from "../api/viewer.ts";
import { AnswerCard } from "./answer-card.tsx";
import { askOne, editTurn, type Players } from "./asking.ts";
import type { PlayedModel } from "./models.ts";
import type { Round } from "./session.ts";

interface RoundsProps {
  /** All models, also those that cannot be asked in this mode. */
  readonly models: readonly PlayedModel[];
  readonly refusals: ReadonlyMap<string, string>;
  readonly players: Players;
  readonly rounds: readonly Round[];
}

export function Rounds({ models, refusals, players, rounds }: RoundsProps) {
  return (
    <>
      {rounds.map((round, at) => (
        <div key={round.id} class="round">
          {players.mode === "chat" && <Turn round={round} number={at + 1} players={players} />}
          <div class="answers" style={{ "--models": models.length }}>
            {models.map((model) => (
              <AnswerCard
                key={model.key}
                model={model}
                turn={players.mode === "chat" ? at + 1 : null}
                answer={round.answers[model.key]}
                refusal={refusals.get(model.key)}
                onAsk={() => askOne(players, round.id, model)}
              />
            ))}
          </div>
        </div>
      ))}
    </>
  );
}

function Turn({ round, number, players }: { round: Round; number: number; players: Players }) {
  const mayAsk = useMay()("INFER");
  const [edited, setEdited] = useState<string | null>(null);
  if (edited === null)
    return (
      <div class="turn">
        <p class="said">{round.prompt}</p>
        {mayAsk && (
          <button
            type="button"
            class="quiet"
            aria-label={`Edit turn ${number}`}
            onClick={() => setEdited(round.prompt)}
          >
            Edit
          </button>
        )}
      </div>
    );
  const submit = (event: Event) => {
    event.preventDefault();
    if (edited === "") return;
    editTurn(players, round.id, edited);
    setEdited(null);
  };
  return (
    <form
      class="turn"
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
      }}
    >
      <label>
        Turn {number}
        <textarea rows={2} value={edited} onInput={({ currentTarget: { value } }) => setEdited(value)} />
      </label>
      <p class="muted">The turns after it go, since they no longer fit.</p>
      <div class="actions">
        <button type="button" onClick={() => setEdited(null)}>
          Keep it as it is
        </button>
        <button type="submit" class="primary">
          Ask again
        </button>
      </div>
    </form>
  );
}
