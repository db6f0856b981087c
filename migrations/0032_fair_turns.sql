CREATE TABLE "project_turns" (
	"project_id" uuid NOT NULL,
	"session" integer NOT NULL,
	"seconds" double precision NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "project_turns_project_id_session_pk" PRIMARY KEY("project_id","session")
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "claimed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "gives_way_to" bigint;--> statement-breakpoint
ALTER TABLE "project_turns" ADD CONSTRAINT "project_turns_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "jobs_turn" ON "jobs" USING btree ("project_id","priority" DESC NULLS FIRST,"id");--> statement-breakpoint
CREATE INDEX "jobs_held" ON "jobs" USING btree ("project_id") WHERE "jobs"."lease_worker" is not null;--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_gives_way_to_unique" UNIQUE("gives_way_to");