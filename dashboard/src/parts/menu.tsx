/** A button that opens a list of actions. The browser closes it on Escape and on a click elsewhere. */
import type { ComponentChildren } from "preact";
import { useId, useRef } from "preact/hooks";
import { useMay, type Right } from "../api/viewer.ts";

export interface Action {
  readonly name: string;
  readonly run: () => void;
  /** What it does cannot be taken back. */
  readonly danger?: boolean;
  /** Without it, the key may not do it, and is not offered it. */
  readonly needs?: Right;
  /** Such as a button that copies it, for what is done without a question. */
  readonly beside?: ComponentChildren;
}

interface MenuButtonProps {
  readonly label: string;
  /** Says what the actions act on, such as "Actions of checkpoint 400". */
  readonly name: string;
  readonly actions: readonly Action[];
}

export function MenuButton({ label, name, actions }: MenuButtonProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const may = useMay();
  const offered = actions.filter(({ needs }) => needs === undefined || may(needs));
  const choose = ({ run }: Action) => {
    list.current?.hidePopover();
    run();
  };
  if (offered.length === 0) return null;
  return (
    <>
      <button
        type="button"
        ref={button}
        popovertarget={id}
        aria-label={name}
        class={/[…⋯]$/u.test(label) ? "quiet" : "quiet opens"}
      >
        {label}
      </button>
      <div
        id={id}
        ref={list}
        popover="auto"
        role="group"
        aria-label={name}
        class="menu"
        onToggle={(event) => {
          if (event.newState === "open" && button.current && list.current) place(list.current, button.current);
        }}
        onKeyDown={moveFocus}
      >
        {offered.map((action) => (
          <div key={action.name}>
            <button type="button" class={action.danger ? "danger" : ""} onClick={() => choose(action)}>
              {action.name}
            </button>
            {action.beside}
          </div>
        ))}
      </div>
    </>
  );
}

/** Below the button, or above it where there is no room; within the window. */
function place(list: HTMLElement, button: HTMLElement): void {
  const { left, right, top, bottom } = button.getBoundingClientRect();
  const { width, height } = list.getBoundingClientRect();
  const gap = 4;
  const x = left + width > innerWidth ? right - width : left;
  const y = bottom + gap + height > innerHeight && top > height + gap ? top - gap - height : bottom + gap;
  Object.assign(list.style, { left: `${Math.max(gap, x)}px`, top: `${y}px` });
  list.querySelector("button")?.focus();
}

function moveFocus(event: KeyboardEvent): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by === undefined || !(event.currentTarget instanceof HTMLElement)) return;
  event.preventDefault();
  // A menu within this one moves its own.
  event.stopPropagation();
  const list = event.currentTarget;
  const buttons = [...list.querySelectorAll("button")].filter((one) => one.closest(".menu") === list);
  const now = buttons.findIndex((one) => one === document.activeElement);
  buttons.at((now + by) % buttons.length)?.focus();
}
