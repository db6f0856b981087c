ALTER TABLE "usage_days" DROP CONSTRAINT "usage_days_project_id_day_kind_pk";--> statement-breakpoint
ALTER TABLE "usage_days" ADD COLUMN "session" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_days" ADD CONSTRAINT "usage_days_project_id_day_kind_session_pk" PRIMARY KEY("project_id","day","kind","session");
