ALTER TABLE "api_keys" ADD COLUMN "rates" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "rates" jsonb DEFAULT '{}'::jsonb NOT NULL;