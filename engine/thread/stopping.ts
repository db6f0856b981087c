/**
 * A request to stop, inside the engine. Training ends between two steps; everything that may take long besides (reading rows,
 * a single pass of many in a step, an evaluation or a probe, a rebuild) looks before each of its parts, and throws Stopped.
 * What was computed since the last step is thrown away, and weights have not changed since.
 */
export class Stopped extends Error {
  constructor() {
    super("The work was asked to stop.");
    this.name = "Stopped";
  }
}

export interface StopCheck {
  /** @throws Stopped */
  now(this: void): void;
  /** The same, after the event loop had a turn to receive the request: some devices never wait for anything. */
  pause(this: void): Promise<void>;
}

/** Between two turns of the event loop: a pass of a small model takes less than a turn costs. */
const turnMs = 20;

/** @param between waited for at each pause: others may have their turn then */
export function stopCheck(stopping: () => boolean, between?: () => Promise<void>): StopCheck {
  let turned = performance.now();
  const now = () => {
    if (stopping()) throw new Stopped();
  };
  return {
    now,
    async pause() {
      if (performance.now() - turned >= turnMs) {
        await new Promise(setImmediate);
        turned = performance.now();
      }
      await between?.();
      now();
    },
  };
}
