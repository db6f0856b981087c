-- Names of a model's tensors and layers, so that patterns that select nothing are refused when a run is created. The release
-- before this one does not know the table; models that it registered have no row until a worker of this release starts.
CREATE TABLE "base_model_names" (
	"base_model_id" uuid PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"tensors" jsonb NOT NULL,
	"layers" jsonb NOT NULL
);
--> statement-breakpoint
ALTER TABLE "base_model_names" ADD CONSTRAINT "base_model_names_base_model_id_base_models_id_fk" FOREIGN KEY ("base_model_id") REFERENCES "public"."base_models"("id") ON DELETE cascade ON UPDATE no action;