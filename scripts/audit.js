// Asks the registry whether it knows advisories of severity high or above about the packages that users install.
//   node scripts/audit.js [FILE]
// Exit code 1 with the advisories. A registry that does not answer, as behind many mirrors, is no failure: the reason goes to
// the screen and into FILE, so that whoever asked can say once more at the end that nothing was checked.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const [unanswered] = process.argv.slice(2);
const { stdout, stderr } = spawnSync("npm", ["audit", "--omit=dev", "--audit-level=high", "--json"], {
  encoding: "utf8",
  timeout: 120_000,
});
const report = read(stdout);

if (!report?.metadata) {
  const reason = report?.message ?? `npm audit did not answer. ${stderr}`.trim().replaceAll(/\s+/gu, " ");
  console.log(`NOT AUDITED: ${reason}`);
  if (unanswered) writeFileSync(unanswered, `${reason}\n`);
} else {
  const { info, low, moderate, high, critical } = report.metadata.vulnerabilities;
  console.log(`${critical} critical, ${high} high, ${moderate} moderate, ${low} low, ${info} for information`);
  const grave = Object.values(report.vulnerabilities).filter(({ severity }) => /^(?:high|critical)$/u.test(severity));
  for (const { name, severity, range, via } of grave) {
    const titles = via.map((one) => (typeof one === "string" ? `by ${one}` : `${one.title} (${one.url})`));
    console.log(`${severity}: ${name} ${range}: ${titles.join("; ")}`);
  }
  if (grave.length > 0) process.exitCode = 1;
}

/**
 * @typedef {{ name: string, severity: string, range: string, via: (string | { title: string, url: string })[] }} Vulnerability
 * @typedef {Record<"info" | "low" | "moderate" | "high" | "critical", number>} Counts
 * @typedef {{ message?: string, metadata?: { vulnerabilities: Counts }, vulnerabilities: Record<string, Vulnerability> }} Report
 */

/** @returns {Report | null} */
function read(/** @type {string} */ text) {
  try {
    return /** @type {Report} */ (JSON.parse(text));
  } catch {
    return null;
  }
}
