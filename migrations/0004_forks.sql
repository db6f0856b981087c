ALTER TABLE "fine_tunes" ADD COLUMN "from_checkpoint_id" uuid;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "first_entry" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "first_step" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_from_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("from_checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD CONSTRAINT "fine_tunes_first_entry" CHECK ("fine_tunes"."first_entry" >= 0 and "fine_tunes"."first_entry" <= "fine_tunes"."entries");