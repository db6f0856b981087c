/** That the table of deeds has all that the page can do, so that the tests which walk along it leave nothing out. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { packagePath } from "../../../schema/package.ts";
import { deeds, quiet } from "./deeds.ts";

test("every mutation of the page is among the deeds", () => {
  const folder = packagePath("dashboard/src");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".graphql"));
  const texts = files.map((file) => readFileSync(`${folder}/${file}`, "utf8"));
  const mutations = texts.flatMap((text) => [...text.matchAll(/^mutation (\w+)/gmu)].map(([, name = ""]) => name));
  expect(mutations.length).toBeGreaterThan(40);
  expect([...new Set([...deeds.map(({ mutation }) => mutation), ...quiet])].toSorted()).toEqual(mutations.toSorted());
});
