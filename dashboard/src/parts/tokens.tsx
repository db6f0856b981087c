/** A row as a model sees it, token by token. */
import { formatCounted } from "../format.ts";

interface Token {
  readonly id: number;
  /** Null if the model has no tokenizer. */
  readonly text: string | null;
  readonly scored: boolean;
  /** What is to be predicted there, if it is another token. */
  readonly target: string | null;
}

interface TokensProps {
  readonly tokens: readonly Token[];
  /** Of the whole row; it may have more tokens than are shown. */
  readonly length: number;
}

export function Tokens({ tokens, length }: TokensProps) {
  return (
    <p class="tokens">
      {tokens.map((token, place) => {
        const Tag = token.scored ? "mark" : "span";
        // A token is known by its place; the same may come often.
        return (
          <Tag key={place} title={`Token ${token.id}`}>
            {wordsOf(token)}
          </Tag>
        );
      })}
      {length > tokens.length && <span class="muted"> and {formatCounted(length - tokens.length, "more token")}</span>}
    </p>
  );
}

/** What is to be predicted is written out: a title is not seen on a phone. */
function wordsOf({ id, text, target }: Token): string {
  const shown = text === null ? `#${id}` : text.replaceAll("\n", "⏎\n");
  return target === null ? shown : `${shown} → ${target}`;
}

export function TokensHelp() {
  return (
    <p class="muted">
      Each box is a token: a piece of text that the model reads at once. Training scores how well it predicts the{" "}
      <mark>marked</mark> ones; the others are only read.
    </p>
  );
}
