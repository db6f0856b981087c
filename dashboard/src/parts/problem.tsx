/** Shows an error: its code, the message, and each issue with its line, unless the message already says it. */
import type { Failure, Issue } from "../api/failure.ts";
import { formatSentence } from "../format.ts";

interface ProblemProps {
  readonly title: string;
  readonly failure: Failure;
  /** The text that line numbers of issues refer to; those lines are then shown. */
  readonly text?: string | undefined;
}

export function Problem({ title, failure, text }: ProblemProps) {
  // The form that signs in comes over the page, and says what to do.
  if (failure.wantsKey) return null;
  const lines = text?.split("\n");
  const issues = failure.issues.filter(({ line, message }) => line != null || !failure.message.includes(message));
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{title}</strong> <code>{failure.code}</code>
      </p>
      <p>{formatSentence(failure.message)}</p>
      {issues.length > 0 && (
        <ul>
          {issues.map((issue) => (
            <li key={`${issue.line} ${issue.field} ${issue.message}`}>
              <IssueText issue={issue} />
              {issue.line != null && lines?.[issue.line - 1] && <pre>{lines[issue.line - 1]?.slice(0, 200)}</pre>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function IssueText({ issue }: { issue: Issue }) {
  return (
    <>
      {issue.line != null && <strong>Line {issue.line}</strong>}
      {issue.line != null && ": "}
      {issue.field != null && issue.field !== "" && (
        <>
          <code>{issue.field}</code>{" "}
        </>
      )}
      {issue.message}
    </>
  );
}
