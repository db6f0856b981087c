/** What is asked of a model: the request of a round, from what was written. */
import type { CreateCompletionInput, MessageInput } from "../../../client/schema-types.ts";
import type { Mode } from "./address.ts";
import type { Asked } from "./answers.ts";
import type { PlayedModel } from "./models.ts";
import type { SettingName, Session } from "./session.ts";

/** @param prompt of the round, which may not have been asked yet @param at its number */
export function requestOf(
  model: PlayedModel,
  mode: Mode,
  { prompt, at }: { readonly prompt: string; readonly at: number },
  written: Session,
  suggested: Suggested | null,
): Asked {
  const named = { model: { name: model.name } };
  if (mode === "labels") {
    const { labels, calibration } = choiceOf(written, suggested);
    const calibrated = calibration === "" ? {} : { calibrationPrompt: calibration };
    return { kind: "CHOOSE", input: { ...named, prompts: [prompt], labels, ...calibrated } };
  }
  const what = mode === "text" ? { prompt } : { messages: messagesFor(model.key, written, prompt, at) };
  return { kind: "WRITE", input: { ...named, ...what, ...settingsOf(written.settings) } };
}

/** Turns that this model has answered, and the one that it is to answer: another's words are never put in its mouth. */
function messagesFor(key: string, { system, rounds }: Session, prompt: string, at: number): MessageInput[] {
  const before = rounds.chat.slice(0, at).flatMap((round): MessageInput[] => {
    const said = round.answers[key]?.text ?? "";
    if (said === "") return [];
    return [
      { role: "user", content: round.prompt },
      { role: "assistant", content: said },
    ];
  });
  const start: MessageInput[] = system.trim() === "" ? [] : [{ role: "system", content: system }];
  return [...start, ...before, { role: "user", content: prompt }];
}

type Sampling = Pick<CreateCompletionInput, SettingName>;

/** Those that were filled in. The service checks them. */
function settingsOf({ stop, ...numbers }: Session["settings"]): Sampling {
  const given = Object.entries(numbers).flatMap(([name, text]) =>
    text.trim() === "" ? [] : [[name, Number(text)] as const],
  );
  // A line break is what an answer most often ends at.
  const stops = linesOf(stop).map((line) => line.replaceAll(String.raw`\n`, "\n"));
  return { ...Object.fromEntries(given), ...(stops.length > 0 && { stop: stops }) };
}

/** What a run was trained to choose among. */
export interface Suggested {
  readonly run: string;
  readonly labels: readonly string[];
  readonly calibration: string | null;
}

/** That of the first model that has label words. */
export function suggestedBy(models: readonly PlayedModel[]): Suggested | null {
  const run = models.find((one) => (one.run?.labelWords.length ?? 0) > 0)?.run;
  return run ? { run: run.name, labels: run.labelWords, calibration: run.calibrationPrompt } : null;
}

export function choiceOf({ labels, calibration }: Session, suggested: Suggested | null) {
  return {
    labels: labels === null ? [...(suggested?.labels ?? [])] : linesOf(labels),
    calibration: calibration ?? suggested?.calibration ?? "",
  };
}

/** Spaces at the beginning of a line count: they are part of a word's tokens. */
function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

/** Shares that add up to one, from scores that are logarithms; null where no score is a number. */
export function sharesOf(scores: readonly (number | null)[]): readonly (number | null)[] {
  const known = scores.filter((score) => score !== null);
  const most = Math.max(...known);
  const total = known.reduce((sum, score) => sum + Math.exp(score - most), 0);
  return scores.map((score) => (score === null ? null : Math.exp(score - most) / total));
}
