ALTER TABLE "checkpoints" ADD COLUMN "seconds" double precision;--> statement-breakpoint
ALTER TABLE "evaluations" ADD COLUMN "seconds" double precision;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "best_score" double precision;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "best_loss" double precision;--> statement-breakpoint
-- The runs so far, by the rule of schema/best-evaluation.ts.
UPDATE "fine_tunes" SET "best_score" = best.score, "best_loss" = best.loss FROM (
  SELECT DISTINCT ON (fine_tune_id) fine_tune_id, score, loss FROM (
    SELECT e.fine_tune_id, e.entries, e.loss, CASE coalesce(f.hyperparameters ->> 'bestMetric', 'AUTO')
      WHEN 'AUTO' THEN coalesce(e.f1, e.accuracy) WHEN 'ACCURACY' THEN e.accuracy
      WHEN 'F1' THEN e.f1 WHEN 'EXACT_MATCH' THEN e.exact_match END AS score
    FROM "evaluations" e JOIN "fine_tunes" f ON f.id = e.fine_tune_id
    WHERE e.kind = 'VALIDATION' AND e.loss > '-Infinity' AND e.loss < 'Infinity'
  ) AS measured ORDER BY fine_tune_id, score DESC NULLS LAST, loss, entries
) AS best WHERE best.fine_tune_id = "fine_tunes".id;--> statement-breakpoint
CREATE INDEX "fine_tunes_project_best_score" ON "fine_tunes" USING btree ("project_id","best_score","id") WHERE "fine_tunes"."best_score" is not null;--> statement-breakpoint
CREATE INDEX "fine_tunes_project_best_loss" ON "fine_tunes" USING btree ("project_id","best_loss","id") WHERE "fine_tunes"."best_loss" is not null;