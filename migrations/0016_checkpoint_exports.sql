CREATE TABLE "checkpoint_exports" (
	"checkpoint_id" uuid NOT NULL,
	"merged" boolean NOT NULL,
	"dtype" text NOT NULL,
	"status" text NOT NULL,
	"files" jsonb,
	"error" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "checkpoint_exports_checkpoint_id_merged_dtype_pk" PRIMARY KEY("checkpoint_id","merged","dtype")
);
--> statement-breakpoint
ALTER TABLE "checkpoint_exports" ADD CONSTRAINT "checkpoint_exports_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE cascade ON UPDATE no action;