/** Environment variables: defaults, empty values, and what a wrong one gives. */
import { expect, test } from "vitest";
import { readConfig } from "../../cli/config.ts";
import { readVariable, variables, type VariableName } from "../../cli/environment.ts";

test("a variable that is set to nothing counts as not set", () => {
  const names = Object.keys(variables) as VariableName[];
  const empty = Object.fromEntries(names.flatMap((name) => [name, name.toLowerCase()]).map((name) => [name, ""]));
  for (const name of names)
    expect({ name, value: readVariable(name, empty) }).toStrictEqual({ name, value: readVariable(name, {}) });
  expect(readConfig(empty)).toStrictEqual(readConfig({}));
});

test("values are checked, and numbers are numbers", () => {
  expect(readConfig({ PORT: "0", STEPLOG_THREADS: "4", STEPLOG_CORS_ORIGINS: "https://a, https://b" })).toMatchObject({
    port: 0,
    threads: 4,
    corsOrigins: ["https://a", "https://b"],
  });
});

test("blanks and line feeds around a host or a token do not count", () => {
  const env = { STEPLOG_HOST: " ::1\n", STEPLOG_API_TOKEN: "\topensesame\r\n" };
  expect(readConfig(env)).toMatchObject({ host: "::1", apiToken: "opensesame" });
});

test.each([
  [{ PORT: "http" }, 'PORT is "http". Give a whole number from 0 to 65535.'],
  [{ PORT: " " }, 'PORT is " ". Give a whole number from 0 to 65535.'],
  [{ STEPLOG_THREADS: "1025" }, 'STEPLOG_THREADS is "1025". Give a whole number from 0 to 1024.'],
  [{ STEPLOG_HOST: " " }, 'STEPLOG_HOST is " ". Give an address such as 127.0.0.1.'],
  [{ STEPLOG_API_TOKEN: " " }, "STEPLOG_API_TOKEN is not valid. Give letters, digits and punctuation without spaces."],
  [{ STEPLOG_API_TOKEN: "open sesame" }, "STEPLOG_API_TOKEN is not valid."],
  [{ STEPLOG_API_TOKEN: "s\u00e9same" }, "STEPLOG_API_TOKEN is not valid."],
  [{ STEPLOG_OPEN_TO_EVERYONE: "1" }, 'STEPLOG_OPEN_TO_EVERYONE is "1". Give yes or no.'],
  [{ STEPLOG_LOG_LEVEL: "loud" }, 'STEPLOG_LOG_LEVEL is "loud". Give debug, info, warn or error.'],
])("%j is refused by name", (env, message) => {
  expect(() => readConfig(env)).toThrow(message);
});
