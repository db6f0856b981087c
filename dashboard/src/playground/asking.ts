/** What somebody does here: ask all models or one, stop, edit a turn, clear. Answers go on while another page is shown. */
import { signal } from "@preact/signals";
import { randomKey } from "../random.ts";
import type { Mode } from "./address.ts";
import { type Answer, answer, isGoing, readOn } from "./answers.ts";
import type { PlayedModel } from "./models.ts";
import { requestOf, type Suggested } from "./request.ts";
import { putAnswer, putRounds, session, write, type Round } from "./session.ts";

/** What a screen reader is told: each answer once it has ended, not each token. */
export const announced = signal("");
const announcedLength = 300;

/** The answers that are read now, by round and model. */
const going = new Map<string, AbortController>();
const keyOf = (round: string, key: string) => `${round} ${key}`;

export interface Players {
  /** Those that can be asked in this mode. */
  readonly models: readonly PlayedModel[];
  readonly mode: Mode;
  readonly suggested: Suggested | null;
}

/** Asks what was written: in a conversation as its next turn, otherwise in place of what was asked before. */
export function send(players: Players): void {
  const { mode } = players;
  const { prompts, rounds } = session.value;
  if (mode !== "chat") stop(mode);
  const round: Round = { id: randomKey(), prompt: prompts[mode], answers: {} };
  putRounds(mode, mode === "chat" ? [...rounds.chat, round] : [round]);
  if (mode === "chat") write({ prompts: { ...prompts, chat: "" } });
  for (const model of players.models) askOne(players, round.id, model);
}

/** Asks a model again, or for the first time, what a round asks. */
export function askOne({ mode, suggested }: Players, round: string, model: PlayedModel): void {
  const at = session.value.rounds[mode].findIndex(({ id }) => id === round);
  const asked = session.value.rounds[mode][at];
  if (!asked) return;
  const request = requestOf(model, mode, { prompt: asked.prompt, at }, session.value, suggested);
  follow(mode, round, model.key, (put, ended) => answer(request, put, ended));
}

/** Asks a turn in other words. What came after it no longer fits, and goes. */
export function editTurn(players: Players, round: string, prompt: string): void {
  stop("chat");
  const { chat } = session.value.rounds;
  const at = chat.findIndex(({ id }) => id === round);
  putRounds("chat", [...chat.slice(0, at), { id: round, prompt, answers: {} }]);
  for (const model of players.models) askOne(players, round, model);
}

/** What has been written stays. */
export function stop(mode: Mode): void {
  for (const { id, answers } of session.value.rounds[mode])
    for (const key of Object.keys(answers)) stopOne(mode, id, key);
}

function stopOne(mode: Mode, round: string, key: string): void {
  const reading = going.get(keyOf(round, key));
  if (!reading) return;
  reading.abort();
  going.delete(keyOf(round, key));
  putAnswer(mode, round, key, (before) => stopped(before));
}

export function clear(mode: Mode): void {
  stop(mode);
  putRounds(mode, []);
  write({ prompts: { ...session.value.prompts, [mode]: "" } });
}

/** After the page was loaded anew: reads on what was being written. What had not been queued is lost. */
export function resume(): void {
  for (const [mode, rounds] of Object.entries(session.value.rounds) as [Mode, readonly Round[]][])
    for (const { id: round, answers } of rounds)
      for (const [key, one] of Object.entries(answers))
        if (isGoing(one) && !going.has(keyOf(round, key))) resumeOne(mode, round, key, one);
}

function resumeOne(mode: Mode, round: string, key: string, { id, cursor }: Answer): void {
  if (id === null) return putAnswer(mode, round, key, (before) => stopped(before));
  follow(mode, round, key, (put, ended) => readOn({ id, cursor }, put, ended));
}

type Put = Parameters<typeof answer>[1];

function follow(mode: Mode, round: string, key: string, read: (put: Put, ended: AbortSignal) => Promise<void>): void {
  stopOne(mode, round, key);
  const reading = new AbortController();
  const at = keyOf(round, key);
  going.set(at, reading);
  const put: Put = (change) => {
    if (!reading.signal.aborted) putAnswer(mode, round, key, change);
  };
  void read(put, reading.signal).then(() => {
    if (reading.signal.aborted) return;
    going.delete(at);
    announce(session.value.rounds[mode].find(({ id }) => id === round)?.answers[key]);
  });
}

/** Errors announce themselves. */
function announce(one: Answer | undefined): void {
  if (one?.status !== "DONE") return;
  const said = one.labels ? (one.labels.label ?? "no label") : one.text;
  announced.value = `Answer: ${said.length > announcedLength ? `${said.slice(0, announcedLength)}…` : said}`;
}

const stopped = (before: Answer | undefined): Answer => {
  if (!before) throw new Error("an answer that is stopped has begun");
  return { ...before, status: "STOPPED", id: null, waiting: null };
};
