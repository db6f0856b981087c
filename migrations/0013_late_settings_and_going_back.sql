ALTER TABLE "fine_tunes" ADD COLUMN "late_settings" jsonb;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "went_back_from" uuid;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_went_back_from_fine_tunes_id_fk" FOREIGN KEY ("went_back_from") REFERENCES "public"."fine_tunes"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_went_back_from_unique" UNIQUE("went_back_from");