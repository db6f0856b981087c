/**
 * Computes each input once, and gives the result to every test that asks. Devices are compared with the plain one on the
 * same inputs, since a property of one seed gives each of them the same: the plain results are computed for the first.
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
