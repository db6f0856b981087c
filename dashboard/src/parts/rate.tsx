/** The learning rate of a form: a number, AUTO, or nothing. */
export function RateInput({ placeholder }: { readonly placeholder: string }) {
  return (
    <label>
      Learning rate, or AUTO
      <input name="learningRate" pattern="\s*(AUTO|[0-9.eE+\-]+)\s*" placeholder={placeholder} spellcheck={false} />
    </label>
  );
}

/** What was filled in, as a setting; none when it is empty. */
export function rateIn(text: string): { learningRate?: number | "AUTO" } {
  const given = text.trim();
  if (given === "") return {};
  return { learningRate: given === "AUTO" ? "AUTO" : Number(given) };
}
