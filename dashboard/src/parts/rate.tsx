/** Input of the learning rate: a number, AUTO, or empty. */
export function RateInput({ placeholder }: { readonly placeholder: string }) {
  return (
    <label>
      Learning rate (number or AUTO)
      <input name="learningRate" pattern="\s*(AUTO|[0-9.eE+\-]+)\s*" placeholder={placeholder} spellcheck={false} />
    </label>
  );
}

/** The input as a setting; no setting if it is empty. */
export function rateIn(text: string): { learningRate?: number | "AUTO" } {
  const given = text.trim();
  if (given === "") return {};
  return { learningRate: given === "AUTO" ? "AUTO" : Number(given) };
}
