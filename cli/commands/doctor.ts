/** steplog doctor: what could keep a service from running well here, and how to mend it. */
import type { Command } from "commander";
import { readConfig } from "../config.ts";
import { compiler, native, tensorflow } from "../doctor/devices.ts";
import type { Finding } from "../doctor/finding.ts";
import { disksRoom, fileLimit, memoryForModels, nodeVersion, portFree } from "../doctor/machine.ts";
import { postgres, service } from "../doctor/service.ts";
import { exitCodes } from "../exit-codes.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { stopSignal } from "../process.ts";
import { coloursOf } from "../terminal.ts";

export function define(command: Command): void {
  command
    .description("Look at what a service needs on this machine, and say how to mend what is missing. Changes nothing.")
    .addOption(urlOption())
    .option("--json", "print {checks: [{name, status, message, mend}]}")
    .addHelpText("after", "\nExample:\n  steplog doctor\n\nThe exit code is 1 if a check fails; warnings leave it 0.")
    .action(doctor);
}

async function doctor({ url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  const checks = await examine(url);
  if (json) printJson({ checks });
  else for (const check of checks) print(inWords(check));
  if (checks.some(({ status }) => status === "fail")) process.exitCode = exitCodes.fault;
}

async function examine(url: string): Promise<readonly Finding[]> {
  const config = readConfig();
  const signal = stopSignal();
  const answering = await service(url);
  const isHere = /^https?:\/\/(?:127\.0\.0\.1|localhost)(?::|\/|$)/u.test(url) && answering.isThere;
  const serves = isHere && Number(new URL(url).port) === config.port;
  const [nativeDevice, tensor, database, port, disks, files, memory] = await Promise.all([
    native(config.devicesDir, signal),
    tensorflow(config.devicesDir, signal),
    postgres(config),
    portFree(config.host, config.port, serves),
    disksRoom([config.dataDir, config.cacheDir, config.modelsDir]),
    fileLimit(),
    memoryForModels(config.modelsDir),
  ]);
  const machine = [nodeVersion(), compiler(), nativeDevice, tensor];
  return [...machine, ...database, ...answering.findings, port, ...disks, files, memory];
}

function inWords({ name, status, message, mend }: Finding): string {
  const { green, yellow, red } = coloursOf();
  const colour = { ok: green, warn: yellow, fail: red }[status];
  const advice = mend === null ? "" : `\n${" ".repeat(18)}${mend}`;
  return `${colour(status.padEnd(4))}  ${name.padEnd(10)}  ${message}${advice}`;
}
