/** The page in an export that says what is in it. */
export function readme(project: string): string {
  return `# The project ${JSON.stringify(project)}, exported by Steplog

TABLE/000001.jsonl and following: the rows of one table, one JSON object a line, in order of the primary key; bytes are
hexadecimal after \\x, times are ISO 8601.

| path | what it has |
| ---- | ----------- |
| projects, api_keys, usage_days, shares | the project; its keys without the keys; what it used by day; what is shared |
| datasets | name, rows, and sha256, the name of its JSON lines in blobs/; deleted_at if its rows are gone |
| fine_tunes | runs with their settings; fine_tunes.dataset_id is an id in datasets |
| logs/ID.steplog | the log of a run: with its base model it rebuilds every checkpoint (steplog reconstruct) |
| checkpoints, checkpoint_exports | positions in logs, with the digest of the weights; weights_files names files in blobs/ |
| step_metrics, run_memory, evaluations, events | what was measured of runs, and their history |
| model_evaluations, completions, completion_pieces | what models were asked, and answered |
| aliases, alias_moves | names of models, and where they pointed |
| webhook_endpoints, webhook_messages, webhook_deliveries, webhook_attempts | webhooks without their secrets, and their log |
| audit_entries | who did what |
| blobs/SHA256 | stored files, named by their hash |

A table without rows has no file. SHA256SUMS-000001 and following have the hash of every file before them, as
\`sha256sum --check SHA256SUMS-*\` reads them; manifest.json, the last file, has the hashes of these. Without it the
export is not complete.
`;
}
