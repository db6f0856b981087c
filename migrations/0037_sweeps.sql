CREATE TABLE "sweeps" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"project_id" uuid DEFAULT '00000000-0000-4000-8000-000000000000' NOT NULL,
	"idempotency_key" text,
	"input_hash" text NOT NULL,
	"name" text NOT NULL,
	"varied" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "sweeps_idempotency_key_unique" UNIQUE("idempotency_key")
);
--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "sweep_id" uuid;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "sweep_place" integer;--> statement-breakpoint
ALTER TABLE "sweeps" ADD CONSTRAINT "sweeps_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "sweeps_project_created" ON "sweeps" USING btree ("project_id","created_at","id");--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_sweep_id_sweeps_id_fk" FOREIGN KEY ("sweep_id") REFERENCES "public"."sweeps"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "fine_tunes_sweep" ON "fine_tunes" USING btree ("sweep_id","sweep_place") WHERE "fine_tunes"."sweep_id" is not null;