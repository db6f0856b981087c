ALTER TABLE "evaluations" ADD COLUMN "f1" double precision;--> statement-breakpoint
ALTER TABLE "evaluations" ADD COLUMN "exact_match" double precision;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "calibration_prompt" text;