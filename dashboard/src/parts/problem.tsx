/** Shows an error: its code, the message, and each issue with its line, unless the message already says it. */
import { useState } from "preact/hooks";
import { SteplogError } from "../../../client/browser.ts";
import { readToken, writeToken } from "../api/client.ts";

interface Issue {
  readonly line?: number | null;
  readonly field?: string | null;
  readonly message: string;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly issues: readonly Issue[];
}

/** Converts any error into one that can be shown. */
export function asFailure(error: unknown): Failure {
  return error instanceof SteplogError ? error : { code: "INTERNAL", message: String(error), issues: [] };
}

interface ProblemProps {
  readonly title: string;
  readonly failure: Failure;
  /** The text that line numbers of issues refer to; those lines are then shown. */
  readonly text?: string | undefined;
}

export function Problem({ title, failure, text }: ProblemProps) {
  const lines = text?.split("\n");
  const issues = failure.issues.filter(({ line, message }) => line != null || !failure.message.includes(message));
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{title}</strong> <code>{failure.code}</code>
      </p>
      <p>{failure.code === "UNAUTHENTICATED" ? tokenAdvice() : failure.message}</p>
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
      {failure.code === "UNAUTHENTICATED" && <TokenForm />}
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

/** The service's own words are for programs. */
function tokenAdvice(): string {
  return readToken() === ""
    ? "This service asks for an API token. Enter it here; it stays in this browser."
    : "The service does not accept the API token that this browser has. Enter the right one.";
}

function TokenForm() {
  const [token, setToken] = useState(readToken());
  const save = (event: Event) => {
    event.preventDefault();
    // It may be within another form.
    event.stopPropagation();
    writeToken(token.trim());
    location.reload();
  };
  return (
    <form onSubmit={save} class="inline">
      <label>
        API token
        <input
          type="password"
          autocomplete="current-password"
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
      </label>
      <button type="submit">Use this token</button>
    </form>
  );
}
