/** Messages to clients name what is wrong, but no folders of the service's machines. */
import { expect, test } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import { foldersIn, toldToClients, withoutFolders } from "../../schema/folders-in-messages.ts";

test.each([
  ["/srv/steplog/models/demo/config.json is not JSON.", "demo/config.json is not JSON."],
  ["There is no folder /srv/steplog/models/demo. Give one.", "There is no folder models/demo. Give one."],
  ["ENOENT: no such file or directory, open '/data/a.bin'", "ENOENT: no such file or directory, open 'a.bin'"],
  ["The storage folder /storage has no room left (ENOSPC).", "The storage folder storage has no room left (ENOSPC)."],
  ["(/a/b/c/d, /e/f/g.json: wrong)", "(c/d, f/g.json: wrong)"],
  ["Look at https://hub.example/org/name/tree and at s3://bucket/some/key.", null],
  ["model.layers.0/weight has 3/4 of its bytes; and/or none", null],
])("%s", (message, told) => {
  expect(withoutFolders(message)).toBe(told ?? message);
  expect(foldersIn(message).length > 0).toBe(told !== null);
});

test("whole paths are found for the log", () => {
  expect(foldersIn("There is no folder /srv/models/demo. See '/srv/x y'.")).toEqual(["/srv/models/demo", "/srv/x"]);
});

test("what is wrong with a machine is told without its folders, what a client sent as it was", () => {
  const issue = { field: "model_type", message: "of /srv/models/demo/config.json" };
  const damaged = new SteplogError("MODEL_INVALID", "/srv/models/demo/config.json is wrong", [issue], {
    retryAfterS: 3,
  });
  expect(toldToClients(damaged)).toMatchObject({
    code: "MODEL_INVALID",
    message: "demo/config.json is wrong",
    issues: [{ field: "model_type", message: "of demo/config.json" }],
    retryAfterS: 3,
  });
  const sent = new SteplogError("DATASET_INVALID", 'The text "/a/b/c" is empty');
  expect(toldToClients(sent)).toBe(sent);
});
