/** A button at each block of code. Where the browser gives no clipboard, as over plain HTTP, there is none. */
export function copyButtons(): void {
  if (!("clipboard" in navigator)) return;
  for (const [index, block] of document.querySelectorAll("article pre").entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    const say = (word: string) => {
      button.textContent = word;
      button.setAttribute("aria-label", `${word}: code ${index + 1}`);
    };
    say("Copy");
    button.addEventListener("click", () => void copy(block.querySelector("code")?.textContent ?? "", say));
    block.after(button);
  }
}

async function copy(text: string, say: (word: string) => void): Promise<void> {
  const copied = await navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  );
  say(copied ? "Copied" : "Not allowed");
  setTimeout(() => say("Copy"), 2_000);
}
