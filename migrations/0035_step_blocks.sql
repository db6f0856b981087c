CREATE TABLE "step_blocks" (
	"fine_tune_id" uuid NOT NULL,
	"block" integer NOT NULL,
	"finite" integer NOT NULL,
	"loss_sum" double precision,
	"loss_min" double precision,
	"loss_max" double precision,
	"gradients" integer NOT NULL,
	"gradient_squares" double precision,
	"learning_rate" double precision NOT NULL,
	"seconds_sum" double precision NOT NULL,
	CONSTRAINT "step_blocks_fine_tune_id_block_pk" PRIMARY KEY("fine_tune_id","block")
);
--> statement-breakpoint
ALTER TABLE "step_blocks" ADD CONSTRAINT "step_blocks_fine_tune_id_fine_tunes_id_fk" FOREIGN KEY ("fine_tune_id") REFERENCES "public"."fine_tunes"("id") ON DELETE cascade ON UPDATE no action;