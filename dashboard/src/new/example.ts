/** Rows to try a first run with: short reviews, and whether they are good. */
const reviews: readonly (readonly [string, "great" | "terrible"])[] = [
  ["A joy from start to end", "great"],
  ["The jokes fall flat and the plot goes nowhere", "terrible"],
  ["I laughed until I cried", "great"],
  ["Two hours that I will never get back", "terrible"],
  ["Warm, clever and beautifully filmed", "great"],
  ["The actors look as bored as I was", "terrible"],
  ["I would see it again tomorrow", "great"],
  ["Loud, long and empty", "terrible"],
  ["Every scene is a small wonder", "great"],
  ["A good idea that the script ruins", "terrible"],
  ["The best music of the year", "great"],
  ["I left before the end", "terrible"],
  ["Funny and sad at the right moments", "great"],
  ["The effects are cheap and so is the story", "terrible"],
  ["My children loved it, and so did I", "great"],
  ["Nothing in it makes sense", "terrible"],
  ["A quiet film that stays with you", "great"],
  ["The sequel that nobody asked for", "terrible"],
  ["Brave, honest and gripping", "great"],
  ["Dull from the first minute", "terrible"],
];

export const exampleRows = reviews
  .map(([review, answer]) => JSON.stringify({ prompt: `${review}. It was`, completion: ` ${answer}` }))
  .join("\n");
