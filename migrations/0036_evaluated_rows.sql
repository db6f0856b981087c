CREATE TABLE "evaluated_rows" (
	"evaluation_id" uuid NOT NULL,
	"row" integer NOT NULL,
	"prompt" text,
	"expected" text,
	"answer" text,
	"right" boolean,
	"loss" double precision NOT NULL,
	CONSTRAINT "evaluated_rows_evaluation_id_row_pk" PRIMARY KEY("evaluation_id","row")
);
--> statement-breakpoint
ALTER TABLE "evaluated_rows" ADD CONSTRAINT "evaluated_rows_evaluation_id_model_evaluations_id_fk" FOREIGN KEY ("evaluation_id") REFERENCES "public"."model_evaluations"("id") ON DELETE cascade ON UPDATE no action;