/** A button at each block of code. Where the browser gives no clipboard, as over plain HTTP, there is none. */
export function copyButtons(): void {
  if (!("clipboard" in navigator)) return;
  for (const block of document.querySelectorAll("article pre")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", () => void copy(button, block.querySelector("code")?.textContent ?? ""));
    block.after(button);
  }
}

async function copy(button: HTMLButtonElement, text: string): Promise<void> {
  const copied = await navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  );
  button.textContent = copied ? "Copied" : "Not allowed";
  setTimeout(() => (button.textContent = "Copy"), 2_000);
}
