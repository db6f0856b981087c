CREATE TABLE "row_checks" (
	"key" text PRIMARY KEY NOT NULL,
	"problem" jsonb,
	"checked_at" timestamp with time zone DEFAULT now() NOT NULL
);
