/** One step of a new run: a card that closes to one line. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface StepProps {
  readonly number: number;
  readonly title: string;
  /** What was filled in, in one line; null while something is missing. */
  readonly summary: string | null;
  /** Something in it must be mended. */
  readonly wrong: boolean;
  readonly open: boolean;
  /** A step before it is open: its turn is still to come, even if a default fills it in. */
  readonly ahead: boolean;
  readonly onToggle: () => void;
  readonly children: ComponentChildren;
}

export function Step({ number, title, summary, wrong, open, ahead, onToggle, children }: StepProps) {
  const id = useId();
  const card = useRef<HTMLElement>(null);
  const wasOpen = useRef(open);
  useEffect(() => {
    if (open && !wasOpen.current) card.current?.scrollIntoView({ block: "nearest" });
    wasOpen.current = open;
  }, [open]);
  return (
    <section class="card step" aria-labelledby={`${id}-title`} ref={card}>
      <h2 id={`${id}-title`}>
        <button type="button" class="step-head" aria-expanded={open} aria-controls={id} onClick={onToggle}>
          <span class="step-number" aria-hidden="true">
            {summary !== null && !wrong && !open && !ahead ? "✓" : number}
          </span>
          {title}
          <span class="step-change">{open ? "Close" : "Change"}</span>
        </button>
      </h2>
      {!open && (
        <p class={wrong ? "bad" : "muted"}>
          {wrong ? "Something here needs fixing. " : ""}
          {summary ?? "Not filled in yet."}
        </p>
      )}
      <div id={id} hidden={!open}>
        {open && children}
      </div>
    </section>
  );
}
