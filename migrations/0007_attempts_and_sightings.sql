ALTER TABLE "found_models" ADD COLUMN "seen_by" text;--> statement-breakpoint
ALTER TABLE "found_models" ADD COLUMN "last_seen_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "not_before" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "failed_by" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "last_error" text;