ALTER TABLE "evaluations" ADD COLUMN "kind" text DEFAULT 'VALIDATION' NOT NULL;--> statement-breakpoint
ALTER TABLE "evaluations" DROP CONSTRAINT "evaluations_fine_tune_id_entries_pk";--> statement-breakpoint
ALTER TABLE "evaluations" ADD CONSTRAINT "evaluations_fine_tune_id_kind_entries_pk" PRIMARY KEY("fine_tune_id","kind","entries");--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "test_dataset_id" uuid;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "picked_rate" double precision;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_test_dataset_id_datasets_id_fk" FOREIGN KEY ("test_dataset_id") REFERENCES "public"."datasets"("id") ON DELETE no action ON UPDATE no action;
