CREATE TABLE "chores" (
	"name" text PRIMARY KEY NOT NULL,
	"begun_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "loose_blobs" (
	"sha256" text PRIMARY KEY NOT NULL,
	"bytes" bigint,
	"since" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "loose_blobs_since" ON "loose_blobs" USING btree ("since");