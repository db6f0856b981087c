ALTER TABLE "model_downloads" ADD COLUMN "current_name" text;--> statement-breakpoint
ALTER TABLE "model_downloads" ADD COLUMN "current_done_bytes" bigint;--> statement-breakpoint
ALTER TABLE "model_downloads" ADD COLUMN "current_total_bytes" bigint;--> statement-breakpoint
ALTER TABLE "model_downloads" ADD COLUMN "files_done" integer;--> statement-breakpoint
ALTER TABLE "model_downloads" ADD COLUMN "files_total" integer;