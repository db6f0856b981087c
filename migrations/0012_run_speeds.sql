CREATE TABLE "run_speeds" (
	"key" text NOT NULL,
	"place" text NOT NULL,
	"speeds" jsonb NOT NULL,
	"measured_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "run_speeds_key_place_pk" PRIMARY KEY("key","place")
);
