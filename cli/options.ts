/** Options that several commands have, and parsers of option values. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { deviceNames } from "../engine/devices/choose.ts";
import type { Share } from "../store/store.ts";
import { serveModes } from "./config.ts";
import { readVariable } from "./environment.ts";

export const deviceOption = () =>
  new Option("--device <name>", "compute device; the default is STEPLOG_DEVICE, or else auto")
    .choices(deviceNames)
    .default(readVariable("STEPLOG_DEVICE"), "auto");

export const adapterOption = () =>
  new Option("--adapter <folder>", "apply this adapter (LoRA or prefix), as written by reconstruct or peft");

export const portOption = () =>
  new Option("--port <number>", "port of the gateway; the default is PORT, or else 4000").argParser(integer(0, 65_535));

export const openOption = () =>
  new Option(
    "--open-to-everyone",
    "listen beyond this machine (STEPLOG_HOST) without a token: whoever reaches it can use it",
  );

export const serveOption = () =>
  new Option("--serve <what>", "what the worker does; the default is STEPLOG_SERVE, or else both").choices(serveModes);

export const urlOption = () =>
  new Option("--url <url>", "address of the service; the default is STEPLOG_URL").default(readVariable("STEPLOG_URL"));

/** Which work an autoscaler starts workers for. */
export interface ShareOptions {
  readonly memoryFrom?: number;
  readonly memoryBelow?: number;
  readonly leftBy?: string;
}

export function addShareOptions(command: Command): Command {
  const megabytes = integer(0, 2 ** 30);
  return command
    .option("--memory-from <megabytes>", "only work that is known to need at least this much memory", megabytes)
    .option("--memory-below <megabytes>", "only work that is not known to need this much memory", megabytes)
    .option("--left-by <pool>", "also work of any size that the workers of this pool cannot do");
}

const megabyte = 1_000_000;

export function shareOf({ memoryFrom, memoryBelow, leftBy }: ShareOptions): Share {
  return {
    ...(memoryFrom !== undefined && { fromBytes: memoryFrom * megabyte }),
    ...(memoryBelow !== undefined && { belowBytes: memoryBelow * megabyte }),
    ...(leftBy !== undefined && { leftBy }),
  };
}

export function integer(min: number, max: number): (text: string) => number {
  const valid = (value: number) => Number.isInteger(value) && value >= min && value <= max;
  return number(valid, `Give a whole number from ${min} to ${max}.`);
}

/** A parser of numbers that satisfy `valid`; `advice` is the message for others. */
export function number(valid: (value: number) => boolean, advice: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (valid(value)) return value;
    throw new InvalidArgumentError(advice);
  };
}
