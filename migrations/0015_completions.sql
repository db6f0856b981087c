CREATE TABLE "alias_moves" (
	"name" text NOT NULL,
	"number" integer NOT NULL,
	"base_model_id" uuid NOT NULL,
	"checkpoint_id" uuid,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "alias_moves_name_number_pk" PRIMARY KEY("name","number")
);
--> statement-breakpoint
CREATE TABLE "aliases" (
	"name" text PRIMARY KEY NOT NULL,
	"base_model_id" uuid NOT NULL,
	"checkpoint_id" uuid,
	"moves" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "completion_pieces" (
	"completion_id" uuid NOT NULL,
	"sequence" integer NOT NULL,
	"choice" integer NOT NULL,
	"first_token" integer NOT NULL,
	"tokens" "bytea" NOT NULL,
	"text" text NOT NULL,
	"logprobs" jsonb,
	"finish" text,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "completion_pieces_completion_id_sequence_pk" PRIMARY KEY("completion_id","sequence")
);
--> statement-breakpoint
CREATE TABLE "completions" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"idempotency_key" text,
	"input_hash" text NOT NULL,
	"protocol" text NOT NULL,
	"base_model_id" uuid NOT NULL,
	"checkpoint_id" uuid,
	"alias" text,
	"task" jsonb NOT NULL,
	"prompt" "bytea" NOT NULL,
	"status" text DEFAULT 'QUEUED' NOT NULL,
	"wanted" text DEFAULT 'RUN' NOT NULL,
	"stage" text,
	"error_code" text,
	"error_message" text,
	"error_issues" jsonb,
	"usage" jsonb,
	"scores" jsonb,
	"pieces" integer DEFAULT 0 NOT NULL,
	"device" text,
	"attended_until" timestamp with time zone,
	"start_by" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"first_token_at" timestamp with time zone,
	"finished_at" timestamp with time zone,
	CONSTRAINT "completions_idempotency_key_unique" UNIQUE("idempotency_key"),
	CONSTRAINT "completions_pieces" CHECK ("completions"."pieces" >= 0)
);
--> statement-breakpoint
CREATE TABLE "model_evaluations" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"idempotency_key" text,
	"input_hash" text NOT NULL,
	"base_model_id" uuid NOT NULL,
	"checkpoint_id" uuid,
	"dataset_id" uuid NOT NULL,
	"label_words" jsonb NOT NULL,
	"calibration_prompt" text,
	"settings" jsonb NOT NULL,
	"status" text DEFAULT 'QUEUED' NOT NULL,
	"wanted" text DEFAULT 'RUN' NOT NULL,
	"error_code" text,
	"error_message" text,
	"error_issues" jsonb,
	"rows" integer,
	"loss" double precision,
	"accuracy" double precision,
	"f1" double precision,
	"exact_match" double precision,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"finished_at" timestamp with time zone,
	CONSTRAINT "model_evaluations_idempotency_key_unique" UNIQUE("idempotency_key")
);
--> statement-breakpoint
ALTER TABLE "workers" ADD COLUMN "serving" jsonb;--> statement-breakpoint
ALTER TABLE "alias_moves" ADD CONSTRAINT "alias_moves_name_aliases_name_fk" FOREIGN KEY ("name") REFERENCES "public"."aliases"("name") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alias_moves" ADD CONSTRAINT "alias_moves_base_model_id_base_models_id_fk" FOREIGN KEY ("base_model_id") REFERENCES "public"."base_models"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alias_moves" ADD CONSTRAINT "alias_moves_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "aliases" ADD CONSTRAINT "aliases_base_model_id_base_models_id_fk" FOREIGN KEY ("base_model_id") REFERENCES "public"."base_models"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "aliases" ADD CONSTRAINT "aliases_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "completion_pieces" ADD CONSTRAINT "completion_pieces_completion_id_completions_id_fk" FOREIGN KEY ("completion_id") REFERENCES "public"."completions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "completions" ADD CONSTRAINT "completions_base_model_id_base_models_id_fk" FOREIGN KEY ("base_model_id") REFERENCES "public"."base_models"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "completions" ADD CONSTRAINT "completions_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_evaluations" ADD CONSTRAINT "model_evaluations_base_model_id_base_models_id_fk" FOREIGN KEY ("base_model_id") REFERENCES "public"."base_models"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_evaluations" ADD CONSTRAINT "model_evaluations_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_evaluations" ADD CONSTRAINT "model_evaluations_dataset_id_datasets_id_fk" FOREIGN KEY ("dataset_id") REFERENCES "public"."datasets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "completions_expires" ON "completions" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "completions_checkpoint" ON "completions" USING btree ("checkpoint_id");--> statement-breakpoint
CREATE INDEX "completions_queued" ON "completions" USING btree ("start_by") WHERE "completions"."status" = 'QUEUED';--> statement-breakpoint
CREATE INDEX "model_evaluations_model" ON "model_evaluations" USING btree ("base_model_id","checkpoint_id","created_at");