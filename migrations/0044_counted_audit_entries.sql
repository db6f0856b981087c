CREATE INDEX "audit_entries_project_action" ON "audit_entries" USING btree ("project_id","action");--> statement-breakpoint
CREATE INDEX "audit_entries_action" ON "audit_entries" USING btree ("action");--> statement-breakpoint
CREATE INDEX "audit_entries_actor_name" ON "audit_entries" USING btree ("actor_name");--> statement-breakpoint
CREATE INDEX "audit_entries_actor_key" ON "audit_entries" USING btree ("actor_key_id");