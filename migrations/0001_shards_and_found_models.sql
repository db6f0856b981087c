CREATE TABLE "found_models" (
	"name" text PRIMARY KEY NOT NULL,
	"family" text,
	"dtype" text,
	"parameters" bigint,
	"bytes" bigint,
	"context_length" integer,
	"problem" text,
	"failure" text,
	"requested_at" timestamp with time zone,
	"claimed_by" text,
	"claim_expires_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "checkpoints" ADD COLUMN "weights_files" jsonb;