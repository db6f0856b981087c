/** Runs vitest on a suite, and prints how many tests passed: `conformance.js VITEST SUITE PATTERN`. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { invariant } from "../../schema/errors.ts";
import { packagePath } from "../../schema/package.ts";

const reportSchema = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  testResults: z.array(z.object({ assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })) })),
});

export interface Conformance {
  readonly passed: number;
  readonly failed: readonly string[];
}

async function conformance(vitest: string, suite: string, pattern: string): Promise<Conformance> {
  const folder = await mkdtemp(join(tmpdir(), "steplog-conformance-"));
  try {
    const file = join(folder, "report.json");
    const args = [vitest, "run", suite, "-t", pattern, "--reporter=json", `--outputFile=${file}`];
    const { status } = spawnSync(process.execPath, args, {
      cwd: packagePath("."),
      stdio: ["ignore", "ignore", "inherit"],
    });
    const report = reportSchema.parse(JSON.parse(await readFile(file, "utf8")));
    const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
    invariant(report.numPassedTests + report.numFailedTests > 0, `some test has ${pattern} in its name`);
    const failed = tests.filter((each) => each.status === "failed").map(({ fullName }) => fullName);
    // Errors outside of a test, such as a promise that nothing awaited.
    if (failed.length === 0 && status !== 0) failed.push(`no test, but vitest, with exit status ${status}`);
    return { passed: report.numPassedTests, failed };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const [, , vitest = "", suite = "", pattern = ""] = process.argv;
console.log(`RESULT ${JSON.stringify(await conformance(vitest, suite, pattern))}`);
