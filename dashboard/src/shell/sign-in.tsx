/** Asks for an API key over the page, when the service wants one or refuses the one that this browser has. */
import { useEffect, useRef, useState } from "preact/hooks";
import { needsKey, readKey, signIn, signOut } from "../api/session.ts";

export function SignIn() {
  return needsKey.value ? <KeyForm /> : null;
}

function KeyForm() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [key, setKey] = useState("");
  const had = readKey() !== "";
  useEffect(() => dialog.current?.showModal(), []);
  const enter = (event: Event) => {
    event.preventDefault();
    signIn(key);
  };
  return (
    <dialog ref={dialog} data-signs-in aria-labelledby="sign-in" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={enter}>
        <h2 id="sign-in">Sign in</h2>
        <p>
          {had
            ? "The service no longer accepts the API key that this browser has: it was revoked, has expired, or is of another service."
            : "This service asks for an API key."}{" "}
          Whoever runs it makes one with <code>npx steplog keys create</code>.
        </p>
        <label>
          API key
          <input
            type="password"
            autocomplete="current-password"
            required
            value={key}
            onInput={({ currentTarget }) => setKey(currentTarget.value)}
          />
          <small>It stays in this browser.</small>
        </label>
        <div class="actions">
          {had && (
            <button type="button" onClick={signOut}>
              Forget the old key
            </button>
          )}
          <button type="submit" class="primary">
            Sign in
          </button>
        </div>
      </form>
    </dialog>
  );
}
