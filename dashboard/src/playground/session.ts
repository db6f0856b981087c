/**
 * What was written and answered. It stays in this tab until that is closed (sessionStorage), also when the page is left or
 * loaded anew; answers that are being written go on meanwhile.
 */
import { effect, signal } from "@preact/signals";
import { leaving } from "../api/session.ts";
import type { Mode } from "./address.ts";
import type { Answer } from "./answers.ts";

export const settingNames = [
  "temperature",
  "topP",
  "topK",
  "minP",
  "repetitionPenalty",
  "frequencyPenalty",
  "presencePenalty",
  "maxTokens",
  "seed",
  "stop",
] as const;
export type SettingName = (typeof settingNames)[number];

/** One thing that was asked, and what each model answered, by the model's key. */
export interface Round {
  readonly id: string;
  readonly prompt: string;
  readonly answers: Readonly<Record<string, Answer>>;
}

export interface Session {
  readonly prompts: Readonly<Record<Mode, string>>;
  readonly system: string;
  /** One a line; spaces before them count. Null until somebody writes some: those of the run are taken. */
  readonly labels: string | null;
  readonly calibration: string | null;
  /** As they were typed; "" for the service's default. */
  readonly settings: Readonly<Record<SettingName, string>>;
  /** Text and labels have the last one only. */
  readonly rounds: Readonly<Record<Mode, readonly Round[]>>;
}

const fresh: Session = {
  prompts: { text: "", chat: "", labels: "" },
  system: "",
  labels: null,
  calibration: null,
  settings: Object.fromEntries(settingNames.map((name) => [name, ""])) as Record<SettingName, string>,
  rounds: { text: [], chat: [], labels: [] },
};

const place = "steplog-playground";
const saveMs = 200;

export const session = signal<Session>(kept());

export function write(change: Partial<Session>): void {
  session.value = { ...session.value, ...change };
}

export function putRounds(mode: Mode, rounds: readonly Round[]): void {
  write({ rounds: { ...session.value.rounds, [mode]: rounds } });
}

/** Changes an answer, unless its round has been cleared meanwhile. */
export function putAnswer(
  mode: Mode,
  round: string,
  key: string,
  change: (before: Answer | undefined) => Answer,
): void {
  const put = (one: Round): Round => ({ ...one, answers: { ...one.answers, [key]: change(one.answers[key]) } });
  putRounds(
    mode,
    session.value.rounds[mode].map((one) => (one.id === round ? put(one) : one)),
  );
}

function kept(): Session {
  try {
    const before = JSON.parse(sessionStorage.getItem(place) ?? "{}") as Partial<Session>;
    // A page of an earlier release may have had fewer settings.
    return { ...fresh, ...before, settings: { ...fresh.settings, ...before.settings } };
  } catch {
    return fresh;
  }
}

/** Answers come token by token: not each is worth a write. What has not been saved when the page goes is saved then. */
let saving: ReturnType<typeof setTimeout> | undefined;
effect(() => {
  if (session.value !== fresh) saving ??= setTimeout(save, saveMs);
});
addEventListener("pagehide", save);

function save(): void {
  clearTimeout(saving);
  saving = undefined;
  if (leaving.value) return;
  try {
    sessionStorage.setItem(place, JSON.stringify(session.value));
  } catch {
    // Beyond what a browser keeps for a page: it stays until the page is loaded anew.
  }
}
