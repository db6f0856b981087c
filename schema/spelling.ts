/** A name in camel case, as others write it: runsAtOnce with "-" is runs-at-once. */
export function spelled(name: string, between: string): string {
  return name.replaceAll(/[A-Z]/gu, (letter) => `${between}${letter.toLowerCase()}`);
}
