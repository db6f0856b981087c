ALTER TABLE "datasets" ADD COLUMN "deleted_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "fine_tunes_from_checkpoint" ON "fine_tunes" USING btree ("from_checkpoint_id");--> statement-breakpoint
CREATE INDEX "fine_tunes_dataset" ON "fine_tunes" USING btree ("dataset_id");--> statement-breakpoint
CREATE INDEX "fine_tunes_validation_dataset" ON "fine_tunes" USING btree ("validation_dataset_id");--> statement-breakpoint
CREATE INDEX "fine_tunes_test_dataset" ON "fine_tunes" USING btree ("test_dataset_id");--> statement-breakpoint
CREATE INDEX "model_evaluations_checkpoint" ON "model_evaluations" USING btree ("checkpoint_id");--> statement-breakpoint
CREATE INDEX "model_evaluations_dataset" ON "model_evaluations" USING btree ("dataset_id");