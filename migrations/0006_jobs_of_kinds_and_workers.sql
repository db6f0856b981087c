-- Jobs of any kind, one column for what is wanted of a run, and workers that report themselves.
--
-- Servers and workers are replaced one by one, so the release before this one still runs on these tables. It knows
-- jobs.fine_tune_id and jobs.checkpoint_id instead of jobs.subject, and fine_tunes.cancel_requested instead of
-- fine_tunes.wanted. The triggers below keep both in agreement, whoever writes. A job that the earlier release creates, or
-- created before this migration, has no needs: any worker may claim it, as before. The next release drops these columns,
-- functions and triggers.
CREATE TABLE "workers" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"device" text NOT NULL,
	"kinds" jsonb NOT NULL,
	"families" jsonb NOT NULL,
	"precisions" jsonb NOT NULL,
	"memory_bytes" bigint NOT NULL,
	"models" jsonb NOT NULL,
	"version" text NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "jobs" ALTER COLUMN "fine_tune_id" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "wanted" text DEFAULT 'RUN' NOT NULL;--> statement-breakpoint
UPDATE "fine_tunes" SET "wanted" = 'CANCEL' WHERE "cancel_requested";--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "subject" text;--> statement-breakpoint
UPDATE "jobs" SET "subject" = coalesce("checkpoint_id", "fine_tune_id")::text;--> statement-breakpoint
ALTER TABLE "jobs" ALTER COLUMN "subject" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "payload" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "priority" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "needs" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_subject" ON "jobs" USING btree ("kind","subject");--> statement-breakpoint
CREATE FUNCTION "jobs_of_earlier_release"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.subject IS NULL THEN
		new.subject := coalesce(new.checkpoint_id, new.fine_tune_id)::text;
	ELSIF new.kind = 'FINE_TUNE' THEN
		new.fine_tune_id := new.subject::uuid;
	ELSIF new.kind = 'MATERIALISE' THEN
		new.checkpoint_id := new.subject::uuid;
		new.fine_tune_id := (SELECT fine_tune_id FROM checkpoints WHERE id = new.checkpoint_id);
	END IF;
	RETURN new;
END $$;--> statement-breakpoint
CREATE TRIGGER "jobs_of_earlier_release" BEFORE INSERT ON "jobs"
	FOR EACH ROW EXECUTE FUNCTION "jobs_of_earlier_release"();--> statement-breakpoint
CREATE FUNCTION "cancels_of_earlier_release"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.wanted IS DISTINCT FROM old.wanted THEN
		new.cancel_requested := new.wanted = 'CANCEL';
	ELSIF new.cancel_requested IS DISTINCT FROM old.cancel_requested THEN
		new.wanted := CASE WHEN new.cancel_requested THEN 'CANCEL' ELSE 'RUN' END;
	END IF;
	RETURN new;
END $$;--> statement-breakpoint
CREATE TRIGGER "cancels_of_earlier_release" BEFORE UPDATE OF "wanted", "cancel_requested" ON "fine_tunes"
	FOR EACH ROW EXECUTE FUNCTION "cancels_of_earlier_release"();
