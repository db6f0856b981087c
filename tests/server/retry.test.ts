/** Whatever a client can mend by waiting says for how long, wherever it is sent. */
import { readdirSync, readFileSync } from "node:fs";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { type ErrorCode, SteplogError, errorCodes, passing } from "../../schema/errors.ts";
import { packagePath } from "../../schema/package.ts";
import { refusal, statusOf, toClientError, toHttpError } from "../../server/errors.ts";
import { errorAnswer } from "../../server/openai/errors.ts";

const log = pino({ level: "silent" });
const codes = Object.keys(errorCodes) as ErrorCode[];

describe.each(codes.map((code) => [code, passing[code]] as const))("%s", (code, seconds) => {
  const error = new SteplogError(code, "it is so");

  test(`says ${seconds === undefined ? "nothing of waiting" : `to try again in ${seconds} s`}`, () => {
    const graphql = toClientError(error, log).extensions;
    expect(graphql["retryAfter"]).toBe(seconds);
    const header = seconds === undefined ? undefined : String(seconds);
    expect(toHttpError(error, log).headers["retry-after"]).toBe(header);
    expect(errorAnswer(error, log).headers["retry-after"]).toBe(header);
    expect(refusal(error).extensions["retryAfter"]).toBe(seconds);
    expect(refusal(error).extensions["http"]).toEqual({
      status: statusOf(code),
      headers: header === undefined ? {} : { "retry-after": header },
    });
  });

  test("with a status that clients retry has a time, and the other way round", () => {
    expect([429, 503].includes(statusOf(code))).toBe(seconds !== undefined || code === "QUOTA_EXCEEDED");
  });

  test("keeps a time that is known better, unless it is masked", () => {
    const known = new SteplogError(code, "it is so", [], { retryAfterS: 77 });
    expect(toClientError(known, log).extensions["retryAfter"]).toBe(code === "INTERNAL" ? undefined : 77);
    expect(errorAnswer(known, log).headers["retry-after"]).toBe(code === "INTERNAL" ? undefined : "77");
  });
});

test("every error whose message asks to try again later has a code that passes, or a time", () => {
  const silent = folders.flatMap((folder) => sources(packagePath(folder)).flatMap(silentErrors));
  expect(silent).toEqual([]);
});

/** What gateways answer with. */
const folders = ["server", "store", "schema"];

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${folder}/${name}`);
}

function silentErrors(path: string): string[] {
  const text = readFileSync(path, "utf8");
  // With the lines before it, in which many messages are put together.
  const made = text.matchAll(/(?:[^\n]*\n){0,4}[^\n]*new SteplogError\(\s*"(\w+)",[\s\S]*?\);/gu);
  return [...made].flatMap(([whole, code = ""]) => {
    const asksToWait = /["`. ](?:Try again|Wait for)\b/u.test(whole);
    const isTold = code in passing || /retryAfterS/u.test(whole);
    return asksToWait && !isTold ? [`${path}: ${whole}`] : [];
  });
}
