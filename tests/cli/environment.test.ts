/** Environment variables: defaults, empty values, and what a wrong one gives. */
import { expect, test } from "vitest";
import { readConfig } from "../../cli/config.ts";
import { servingSettings, shareThreads } from "../../cli/serving.ts";
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

test("a worker answers requests with threads of its own, or in turn with a run", () => {
  const share = (env: NodeJS.ProcessEnv) => shareThreads(readConfig({ STEPLOG_THREADS: "4", ...env }));
  expect(share({})).toEqual({ threads: 4, servingThreads: 4 });
  expect(share({ STEPLOG_SERVE_THREADS: "1" })).toEqual({ threads: 3, servingThreads: 1 });
  expect(share({ STEPLOG_SERVE_THREADS: "1", STEPLOG_SERVE: "inference" })).toEqual({ threads: 4, servingThreads: 4 });
  expect(() => share({ STEPLOG_SERVE_THREADS: "4" })).toThrow(/has 4 threads: none is left to train/u);
  const device = { name: "native", threads: 1, devicesDir: null };
  const settings = (env: NodeJS.ProcessEnv) => servingSettings(readConfig(env), device, 10_000_000);
  expect(settings({ STEPLOG_SERVE: "training" })).toBeNull();
  expect(settings({ STEPLOG_SERVE_MEMORY: "3" })).toMatchObject({ budgetBytes: 3_000_000, share: 0.5, sequences: 16 });
  expect(settings({})).toMatchObject({ budgetBytes: 2_500_000 });
});

test("storage is a folder or a bucket, and its address has the prefix", () => {
  expect(readConfig({ STEPLOG_DATA: "/d" })).toMatchObject({
    storageDir: "/d/storage",
    bucket: null,
    cacheDir: "/d/cache",
    cacheBytes: 50e9,
    sharesModels: false,
  });
  const bucketOf = (env: NodeJS.ProcessEnv) => readConfig({ STEPLOG_DATA: "/d", ...env }).bucket;
  expect(bucketOf({ STEPLOG_STORAGE: "s3://my-bucket" })).toMatchObject({
    bucket: "my-bucket",
    prefix: "",
    region: undefined,
    pathStyle: false,
    hasLinks: true,
  });
  const other = { STEPLOG_STORAGE: "s3://my-bucket/a/b/", STEPLOG_S3_ENDPOINT: "http://s3:9000" };
  expect(bucketOf(other)).toMatchObject({ prefix: "a/b/", region: "us-east-1", pathStyle: true });
  expect(bucketOf({ ...other, AWS_REGION: "eu-west-1", STEPLOG_S3_PATH_STYLE: "no" })).toMatchObject({
    region: "eu-west-1",
    pathStyle: false,
  });
  expect(readConfig(other)).toMatchObject({ sharesModels: true });
  expect(readConfig({ ...other, STEPLOG_SHARE_MODELS: "no" })).toMatchObject({ sharesModels: false });
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
  [{ STEPLOG_SERVE: "all" }, 'STEPLOG_SERVE is "all". Give training, inference or both.'],
  [{ STEPLOG_SERVE_SHARE: "0" }, 'STEPLOG_SERVE_SHARE is "0". Give a whole number from 1 to 99.'],
  [
    { STEPLOG_STORAGE: "s3:/bucket" },
    'STEPLOG_STORAGE is "s3:/bucket". Give a folder, or s3://BUCKET or s3://BUCKET/PREFIX.',
  ],
  [
    { STEPLOG_STORAGE: "s3://bucket", STEPLOG_S3_ENDPOINT: "s3:9000" },
    'STEPLOG_S3_ENDPOINT is "s3:9000". Give an address, http://HOST:PORT or https://HOST.',
  ],
  [{ STEPLOG_LOG_LEVEL: "loud" }, 'STEPLOG_LOG_LEVEL is "loud". Give debug, info, warn or error.'],
])("%j is refused by name", (env, message) => {
  expect(() => readConfig(env)).toThrow(message);
});
