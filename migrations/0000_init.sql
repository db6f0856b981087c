CREATE TABLE "base_models" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"family" text NOT NULL,
	"dtype" text NOT NULL,
	"parameters" bigint NOT NULL,
	"bytes" bigint NOT NULL,
	"context_length" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "base_models_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "checkpoints" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"fine_tune_id" uuid NOT NULL,
	"entries" integer NOT NULL,
	"chain" "bytea" NOT NULL,
	"weights_digest" text NOT NULL,
	"weights_status" text DEFAULT 'NONE' NOT NULL,
	"weights_blob" text,
	"weights_bytes" bigint,
	"weights_error" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "datasets" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" text NOT NULL,
	"sha256" text NOT NULL,
	"bytes" bigint NOT NULL,
	"rows" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "evaluations" (
	"fine_tune_id" uuid NOT NULL,
	"entries" integer NOT NULL,
	"rows" integer NOT NULL,
	"loss" double precision NOT NULL,
	"accuracy" double precision,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "evaluations_fine_tune_id_entries_pk" PRIMARY KEY("fine_tune_id","entries")
);
--> statement-breakpoint
CREATE TABLE "events" (
	"fine_tune_id" uuid NOT NULL,
	"sequence" integer NOT NULL,
	"type" text NOT NULL,
	"message" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "events_fine_tune_id_sequence_pk" PRIMARY KEY("fine_tune_id","sequence")
);
--> statement-breakpoint
CREATE TABLE "fine_tunes" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"idempotency_key" text,
	"input_hash" text NOT NULL,
	"name" text NOT NULL,
	"base_model_id" uuid NOT NULL,
	"dataset_id" uuid NOT NULL,
	"validation_dataset_id" uuid,
	"label_words" jsonb NOT NULL,
	"hyperparameters" jsonb NOT NULL,
	"keep_weights" boolean DEFAULT false NOT NULL,
	"status" text DEFAULT 'QUEUED' NOT NULL,
	"cancel_requested" boolean DEFAULT false NOT NULL,
	"error_code" text,
	"error_message" text,
	"error_issues" jsonb,
	"log_header" "bytea",
	"entries" integer DEFAULT 0 NOT NULL,
	"chain" "bytea",
	"skipped_steps" integer DEFAULT 0 NOT NULL,
	"device" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"finished_at" timestamp with time zone,
	CONSTRAINT "fine_tunes_idempotency_key_unique" UNIQUE("idempotency_key"),
	CONSTRAINT "fine_tunes_entries" CHECK ("fine_tunes"."entries" >= 0)
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"fine_tune_id" uuid NOT NULL,
	"checkpoint_id" uuid,
	"attempts" integer DEFAULT 0 NOT NULL,
	"lease_token" bigint DEFAULT 0 NOT NULL,
	"lease_worker" text,
	"lease_expires_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "log_segments" (
	"fine_tune_id" uuid NOT NULL,
	"first_entry" integer NOT NULL,
	"count" integer NOT NULL,
	"scalars" "bytea" NOT NULL,
	"decays" "bytea",
	CONSTRAINT "log_segments_fine_tune_id_first_entry_pk" PRIMARY KEY("fine_tune_id","first_entry"),
	CONSTRAINT "log_segments_packed" CHECK (octet_length("log_segments"."scalars") = 2 * "log_segments"."count" and ("log_segments"."decays" is null or octet_length("log_segments"."decays") = 4 * "log_segments"."count"))
);
--> statement-breakpoint
CREATE TABLE "step_metrics" (
	"fine_tune_id" uuid NOT NULL,
	"step" integer NOT NULL,
	"loss" double precision,
	"projected_gradient" double precision,
	"learning_rate" double precision NOT NULL,
	"skipped" text,
	"seconds" double precision NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "step_metrics_fine_tune_id_step_pk" PRIMARY KEY("fine_tune_id","step")
);
--> statement-breakpoint
ALTER TABLE "checkpoints" ADD CONSTRAINT "checkpoints_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "evaluations" ADD CONSTRAINT "evaluations_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_base_model_id_base_models_id_fk" FOREIGN KEY ("base_model_id") REFERENCES "public"."base_models"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_dataset_id_datasets_id_fk" FOREIGN KEY ("dataset_id") REFERENCES "public"."datasets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_validation_dataset_id_datasets_id_fk" FOREIGN KEY ("validation_dataset_id") REFERENCES "public"."datasets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "log_segments" ADD CONSTRAINT "log_segments_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "step_metrics" ADD CONSTRAINT "step_metrics_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "checkpoints_place" ON "checkpoints" USING btree ("fine_tune_id","entries");--> statement-breakpoint
CREATE INDEX "datasets_created" ON "datasets" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "fine_tunes_created" ON "fine_tunes" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "fine_tunes_status_created" ON "fine_tunes" USING btree ("status","created_at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_fine_tune" ON "jobs" USING btree ("fine_tune_id") WHERE "jobs"."kind" = 'FINE_TUNE';--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_checkpoint" ON "jobs" USING btree ("checkpoint_id") WHERE "jobs"."kind" = 'MATERIALISE';--> statement-breakpoint
-- Scalars do not compress; without this each append would try to, on the whole segment.
ALTER TABLE "log_segments" ALTER COLUMN "scalars" SET STORAGE EXTERNAL, ALTER COLUMN "decays" SET STORAGE EXTERNAL;
