/** Which failed starts of the embedded Postgres are tried again. */
import { expect, test } from "vitest";
import { startMayPass } from "../../store/postgres/embedded.ts";

const held = "FATAL:  pre-existing shared memory block (key 2770008, ID 1835032) is still in use";
const lastWords = "FATAL:  terminating connection due to unexpected postmaster exit";

test("a start that met the memory of a killed server is, however much that server's children say after it", () => {
  const log = [held, "LOG:  database system is shut down", ...Array.from({ length: 20 }, () => lastWords)].join("\n");
  expect(startMayPass(log)).toBe(true);
  expect(startMayPass(lastWords)).toBe(false);
});
