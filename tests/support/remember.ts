/**
 * What a function computed, by its input. Every device is compared with the plain one on the same inputs, since the same
 * seed of a property gives each of them the same: the plain results are computed for the first one alone.
 */
export function remember<Input, Output>(compute: (input: Input) => Promise<Output>): typeof compute {
  const known = new Map<string, Promise<Output>>();
  return (input) => {
    const key = JSON.stringify(input);
    const result = known.get(key) ?? compute(input);
    known.set(key, result);
    return result;
  };
}
