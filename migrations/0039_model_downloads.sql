CREATE TABLE "model_downloads" (
	"name" text PRIMARY KEY NOT NULL,
	"repository" text NOT NULL,
	"revision" text NOT NULL,
	"status" text DEFAULT 'WAITING' NOT NULL,
	"cancel_requested" boolean DEFAULT false NOT NULL,
	"stage" text,
	"done_bytes" bigint,
	"total_bytes" bigint,
	"error_code" text,
	"error_message" text,
	"claimed_by" text,
	"claim_expires_at" timestamp with time zone,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone
);
