/** Whether a text is JSON, for whoever says what is wrong with one that is not what was expected. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
