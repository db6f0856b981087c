import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import type { TestSpecification } from "vitest/node";
import { BaseSequencer } from "vitest/node";

/** Files that only compute or read: they need neither Postgres nor dist/, so they run without the global setup. */
const compute = ["tests/{dataset,engine,schema}/**/*.test.ts", "tests/tree.test.ts"];

/** Long tests, which .ci/run runs on a real Postgres (and `npm run test:all` here). */
const long = "tests/**/*.long.test.ts";
/** Files that put something in a module's place, which must not have been loaded for another file. */
const isolated = ["tests/**/*.isolated.test.ts", "tests/**/*.isolated.long.test.ts"];
const withLong = Boolean(process.env["STEPLOG_LONG_TESTS"]);

/** The longest files come first, so that no worker is left with one of them at the end. */
const longest = [
  "/docs/examples",
  "/fuzz/fuzz.long",
  "/process/",
  "/store/outages",
  "/store/embedded",
  "/cli/hub",
  "/worker/",
  "/bench/",
  "/docs/",
  "/cli/",
  "/devices/",
  "/store/",
  "/server/",
];

/** A worker that goes over to the other project starts anew, so each project's files are together. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification) => {
      const place = longest.findIndex((folder) => moduleId.includes(folder));
      return (project.name === "compute" ? 100 : 0) + (place === -1 ? longest.length : place);
    };
    // oxlint-disable-next-line unicorn/no-array-sort -- the sequencer's own sort, which returns new files.
    return inTurns((await super.sort(files)).toSorted((a, b) => rank(a) - rank(b)));
  }
}

/**
 * Long files of the page in turn with the others. A browser takes a processor of its own, and others wait for most of their
 * time: one kind after the other, the processor would be idle first, and then too small for as many browsers as files.
 */
function inTurns(files: TestSpecification[]): TestSpecification[] {
  const isPage = ({ moduleId }: TestSpecification) => /\/browser\/.*\.long\.test\.ts$/u.test(moduleId);
  const pages = files.filter(isPage);
  const others = files.filter((file) => !isPage(file));
  const turns = others.flatMap((file, turn) => [file, ...pages.slice(turn, turn + 1)]);
  return [...turns, ...pages.slice(others.length)];
}

export default defineConfig({
  resolve: {
    // graphql ships every module twice; tests must get the copy that node gives to everybody else, or types differ.
    alias: [{ find: /^graphql$/u, replacement: fileURLToPath(import.meta.resolve("graphql")) }],
  },
  test: {
    // Gradients of tfjs, which its bundle for Node leaves out, are modules that Node takes for CommonJS.
    server: { deps: { inline: [/tfjs-core\/dist\/(?!tf-core)/u] } },
    pool: "forks",
    // Files share processes: each would spend a second on imports, and none leaves a module or the environment changed.
    isolate: false,
    // One more than CI's cores: some file is always waiting for a process, a lease or a lost connection.
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // vitest waits for a second, which a machine that runs three files at once does not always have.
    expect: { poll: { timeout: 10_000 } },
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: "compute", include: compute, exclude: withLong ? [] : [long] } },
      {
        extends: true,
        test: {
          name: "service",
          include: ["tests/**/*.test.ts"],
          exclude: [...compute, ...isolated, ...(withLong ? [] : [long])],
          globalSetup: ["tests/support/global-setup.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "isolated",
          include: isolated,
          exclude: withLong ? [] : [long],
          isolate: true,
          globalSetup: ["tests/support/global-setup.ts"],
        },
      },
    ],
  },
});
