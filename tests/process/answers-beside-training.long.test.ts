/** Requests beside a run on the native device (beside-training.ts). On TensorFlow: tests/devices/tensorflow.long.test.ts. */
import { test } from "vitest";
import { expectAnswersBesideRun } from "./beside-training.ts";

/** Where both compute at the same time, a run has made far more steps when the last request is answered. */
const ways = [
  ["that takes turns with them", 2_000, {}],
  ["while threads are set aside for them", 6_000, { STEPLOG_SERVE_THREADS: "1" }],
] as const;

test.runIf(process.env["STEPLOG_LONG_TESTS"]).each(ways)(
  "200 requests at once, beside a run %s",
  { timeout: 240_000 },
  (_way, steps, aside) =>
    expectAnswersBesideRun(
      { STEPLOG_DEVICE: "native", STEPLOG_THREADS: "2", ...aside },
      { steps, requests: 200, tolerance: 0 },
    ),
);
