CREATE TABLE "run_memory" (
	"fine_tune_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"step" integer NOT NULL,
	"resident_bytes" bigint NOT NULL,
	"peak_bytes" bigint,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "run_memory_fine_tune_id_kind_step_pk" PRIMARY KEY("fine_tune_id","kind","step")
);
--> statement-breakpoint
ALTER TABLE "run_memory" ADD CONSTRAINT "run_memory_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;