ALTER TABLE "checkpoints" ADD COLUMN "step" integer;--> statement-breakpoint
UPDATE "checkpoints" SET "step" = "entries";--> statement-breakpoint
ALTER TABLE "checkpoints" ALTER COLUMN "step" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "evaluations" ADD COLUMN "step" integer;--> statement-breakpoint
UPDATE "evaluations" SET "step" = "entries";--> statement-breakpoint
ALTER TABLE "evaluations" ALTER COLUMN "step" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "steps_done" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
UPDATE "fine_tunes" SET "steps_done" = "entries";--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "zero_steps" integer DEFAULT 0 NOT NULL;
