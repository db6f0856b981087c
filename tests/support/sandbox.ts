/** One sandbox for the commands and models that the tests of a process open: to start its process costs half a second. */
import { vi } from "vitest";
import * as sandboxes from "../../sandbox/sandbox.ts";

/** It does not keep the process from ending. */
const shared = new sandboxes.Sandbox();
const sharing = { works: 0, stop: () => {} };

/** While `work` runs, what asks for a sandbox of its own gets the shared one. */
export async function sharingSandbox<T>(work: () => Promise<T>): Promise<T> {
  if (sharing.works === 0) {
    const spy = vi.spyOn(sandboxes, "inSandbox").mockImplementation((use) => use(shared));
    sharing.stop = () => spy.mockRestore();
  }
  sharing.works += 1;
  try {
    return await work();
  } finally {
    sharing.works -= 1;
    if (sharing.works === 0) sharing.stop();
  }
}
