CREATE TABLE "base_model_files" (
	"base_model_id" uuid PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"files" jsonb NOT NULL
);
--> statement-breakpoint
ALTER TABLE "base_model_files" ADD CONSTRAINT "base_model_files_base_model_id_base_models_id_fk" FOREIGN KEY ("base_model_id") REFERENCES "public"."base_models"("id") ON DELETE cascade ON UPDATE no action;