ALTER TABLE "checkpoints" ADD COLUMN "weights_keep_seconds" double precision;--> statement-breakpoint
ALTER TABLE "checkpoints" ADD COLUMN "weights_expires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "checkpoints" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "checkpoints" ADD COLUMN "expiry_held_by" text;--> statement-breakpoint
ALTER TABLE "checkpoints" ADD COLUMN "expiry_try_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "datasets" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "datasets" ADD COLUMN "expiry_held_by" text;--> statement-breakpoint
ALTER TABLE "datasets" ADD COLUMN "expiry_try_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "expiry_held_by" text;--> statement-breakpoint
ALTER TABLE "fine_tunes" ADD COLUMN "expiry_try_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "keep" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "model_evaluations" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "model_evaluations" ADD COLUMN "expiry_held_by" text;--> statement-breakpoint
ALTER TABLE "model_evaluations" ADD COLUMN "expiry_try_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "checkpoint_exports" ADD COLUMN "keep_seconds" double precision;--> statement-breakpoint
ALTER TABLE "checkpoint_exports" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "checkpoints_expires" ON "checkpoints" USING btree ("expires_at") WHERE "checkpoints"."expires_at" is not null;--> statement-breakpoint
CREATE INDEX "checkpoints_weights_expire" ON "checkpoints" USING btree ("weights_expires_at") WHERE "checkpoints"."weights_expires_at" is not null;--> statement-breakpoint
CREATE INDEX "datasets_expires" ON "datasets" USING btree ("expires_at") WHERE "datasets"."expires_at" is not null;--> statement-breakpoint
CREATE INDEX "fine_tunes_expires" ON "fine_tunes" USING btree ("expires_at") WHERE "fine_tunes"."expires_at" is not null;--> statement-breakpoint
CREATE INDEX "model_evaluations_expires" ON "model_evaluations" USING btree ("expires_at") WHERE "model_evaluations"."expires_at" is not null;--> statement-breakpoint
CREATE INDEX "checkpoint_exports_expires" ON "checkpoint_exports" USING btree ("expires_at") WHERE "checkpoint_exports"."expires_at" is not null;