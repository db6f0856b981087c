ALTER TABLE "datasets" ADD COLUMN "idempotency_key" text;--> statement-breakpoint
ALTER TABLE "datasets" ADD CONSTRAINT "datasets_idempotency_key_unique" UNIQUE("idempotency_key");