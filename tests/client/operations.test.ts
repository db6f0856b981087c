/** The generated operations of the client and the page are those of the printed schema. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generateOperations } from "../../scripts/generate-operations.ts";

test("the generated files are up to date (else: npm run generate:operations)", async () => {
  const files = await generateOperations();
  expect([...files.keys()]).toEqual(
    expect.arrayContaining(["client/schema-types.ts", "client/operations.ts", "dashboard/src/run/operations.ts"]),
  );
  for (const [file, text] of files) {
    expect({ file, text: readFileSync(new URL(`../../${file}`, import.meta.url), "utf8") }).toStrictEqual({
      file,
      text,
    });
  }
});

test("an operation that the schema does not allow is refused", async () => {
  const wrong = new Map([["client/operations.graphql", "query Wrong { fineTunes { colour } }"]]);
  await expect(generateOperations(undefined, wrong)).rejects.toThrow(/colour/u);
});
