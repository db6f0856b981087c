/** Which of an error's issues belong to which field of a form. */

interface Issue {
  readonly line?: number | null;
  readonly field?: string | null;
  readonly message: string;
}

export interface PlacedIssues<One extends Issue> {
  /** What is wrong with each field, by the field's name. */
  readonly fields: ReadonlyMap<string, string>;
  /** Issues of no field of the form, such as those of a dataset's lines. */
  readonly rest: readonly One[];
}

/** An issue belongs to the last part of its path that names a field: input.labelWords.0 to labelWords. */
export function placeIssues<One extends Issue>(issues: readonly One[], names: ReadonlySet<string>): PlacedIssues<One> {
  const fields = new Map<string, string>();
  const rest: One[] = [];
  for (const issue of issues) {
    const name = issue.line == null ? issue.field?.split(".").findLast((part) => names.has(part)) : undefined;
    if (name === undefined) rest.push(issue);
    else fields.set(name, [...(fields.has(name) ? [fields.get(name)] : []), issue.message].join("; "));
  }
  return { fields, rest };
}
