/** Said in place of a page that the key may not see: which scope it lacks, what it may do, and what to do about it. */
import type { Scope } from "../../../client/schema-types.ts";
import { at } from "../base.ts";

interface MissingProps {
  readonly who: { readonly project: { readonly name: string }; readonly scopes: readonly Scope[] };
  readonly needs: Scope;
}

export function Missing({ who: { project, scopes }, needs }: MissingProps) {
  return (
    <div class="notice" role="note">
      <p>
        This page needs the scope <code>{needs}</code>. Your key of the project “{project.name}” has {scopes.join(", ")}
        {scopes.includes("INFER") && (
          <>
            : it may ask models, in the <a href={at("/playground")}>Playground</a>
          </>
        )}
        .
      </p>
      <p>
        Ask an admin of the project for a key with it, then sign in with that key: “{project.name}” at the top right,
        Sign out.
      </p>
    </div>
  );
}
