-- In place of step_blocks, which workers and gateways of the release before still use.
CREATE TABLE "merged_steps" (
	"fine_tune_id" uuid NOT NULL,
	"size" smallint NOT NULL,
	"block" integer NOT NULL,
	"finite" integer NOT NULL,
	"loss_sum" double precision,
	"loss_min" double precision,
	"loss_max" double precision,
	"gradients" integer NOT NULL,
	"gradient_squares" double precision,
	"learning_rate" double precision NOT NULL,
	"seconds_sum" double precision NOT NULL,
	CONSTRAINT "merged_steps_fine_tune_id_size_block_pk" PRIMARY KEY("fine_tune_id","size","block")
);
--> statement-breakpoint
ALTER TABLE "merged_steps" ADD CONSTRAINT "merged_steps_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
INSERT INTO "merged_steps" SELECT "fine_tune_id", 64, "block", "finite", "loss_sum", "loss_min", "loss_max",
	"gradients", "gradient_squares", "learning_rate", "seconds_sum" FROM "step_blocks";
