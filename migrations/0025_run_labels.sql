ALTER TABLE "fine_tunes" ADD COLUMN "tags" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "metadata" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "priority" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "archived_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "fine_tunes_project_finished" ON "fine_tunes" USING btree ("project_id","finished_at","id");--> statement-breakpoint
CREATE INDEX "fine_tunes_project_name" ON "fine_tunes" USING btree ("project_id","name","id");--> statement-breakpoint
CREATE INDEX "fine_tunes_tags" ON "fine_tunes" USING gin ("tags");