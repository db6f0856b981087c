/** Formats numbers, sizes and times in the visitor's language. */
import { formatLoss as lossInWords } from "../../schema/units.ts";

const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export const none = "–";
const orNone = <T>(value: T | null | undefined, text: (value: T) => string) =>
  value === null || value === undefined ? none : text(value);

export const formatInteger = (value: number) => number.format(value);
/** "1 row", "1,024 rows"; `many` for nouns whose plural has no mere s. */
export const formatCounted = (value: number, noun: string, many = `${noun}s`) =>
  `${number.format(value)} ${value === 1 ? noun : many}`;

const nouns = "bytes|entries|estimates|examples|lines|pairs|passes|rows|steps|tokens";
const counts = new RegExp(
  `(?<![\\w.-])\\d{4,}(?= (?:${nouns})\\b)|(?<=\\bsteps? (?:\\d+ to )?)\\d{4,}(?![\\w.])`,
  "gu",
);

/** A sentence of the service, which writes plain digits: its counts, and the numbers of its steps. */
export const formatSentence = (text: string) => text.replaceAll(counts, (digits) => formatInteger(Number(digits)));

export const formatCompact = (value: number) => compact.format(value);
export const formatShare = (value: number | null | undefined) => orNone(value, (share) => percent.format(share));
export const formatLoss = (value: number | null | undefined) => orNone(value, lossInWords);
export const formatRate = (value: number | null) =>
  orNone(value, (rate) => (rate >= 100 ? number.format(rate) : rate.toPrecision(3)));
export const formatTime = (value: string | null) => orNone(value, (text) => dateTime.format(new Date(text)));
export const formatClock = (value: string) => clock.format(new Date(value));
/** The time of day, with the date unless that is today's. */
export function formatMoment(value: string): string {
  const isToday = new Date(value).toDateString() === new Date().toDateString();
  return isToday ? formatClock(value) : formatTime(value);
}

const ago = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const agoUnits = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

/** "3 min. ago". */
export function formatAgo(value: string): string {
  const seconds = (Date.parse(value) - Date.now()) / 1_000;
  const [unit, size] = agoUnits.find(([, least]) => Math.abs(seconds) >= least) ?? (["second", 1] as const);
  return ago.format(Math.round(seconds / size), unit);
}

export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  // 999.9 kB has three figures as 1.00 MB only.
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes * 1.0005)) / 3));
  const value = bytes / 1_000 ** power;
  return `${power === 0 || value >= 999.5 ? number.format(value) : value.toPrecision(3)} ${units[power] ?? ""}`;
}

export function formatDuration(seconds: number | null): string {
  if (seconds === null) return none;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60)];
  const parts: readonly (readonly [number, string])[] =
    hours > 0
      ? [
          [hours, "h"],
          [minutes, "min"],
        ]
      : [
          [minutes, "min"],
          [whole % 60, "s"],
        ];
  const words = parts.flatMap(([count, unit]) => (count > 0 ? [`${count} ${unit}`] : []));
  return words.length > 0 ? words.join(" ") : "0 s";
}
