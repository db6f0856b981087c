-- The end state of the migrations, for readers. Made by `npm run schema:dump`; do not edit.

create table alias_moves (
  name text not null,
  number integer not null,
  base_model_id uuid not null,
  checkpoint_id uuid,
  at timestamp with time zone not null default now(),
  constraint alias_moves_name_number_pk PRIMARY KEY (name, number),
  constraint alias_moves_base_model_id_base_models_id_fk FOREIGN KEY (base_model_id) REFERENCES base_models(id),
  constraint alias_moves_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id),
  constraint alias_moves_name_aliases_name_fk FOREIGN KEY (name) REFERENCES aliases(name) ON DELETE CASCADE
);

create table aliases (
  name text not null,
  base_model_id uuid not null,
  checkpoint_id uuid,
  moves integer not null default 1,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  constraint aliases_pkey PRIMARY KEY (name),
  constraint aliases_base_model_id_base_models_id_fk FOREIGN KEY (base_model_id) REFERENCES base_models(id),
  constraint aliases_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id),
  constraint aliases_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table api_keys (
  id uuid not null default gen_random_uuid(),
  project_id uuid not null,
  name text not null,
  start text not null,
  hash text not null,
  scopes text[] not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone,
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  rotated_to uuid,
  rates jsonb not null default '{}'::jsonb,
  constraint api_keys_pkey PRIMARY KEY (id),
  constraint api_keys_hash_unique UNIQUE (hash),
  constraint api_keys_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE
);

create table audit_entries (
  id uuid not null default gen_random_uuid(),
  at timestamp with time zone not null default clock_timestamp(),
  project_id uuid not null,
  action text not null,
  actor_kind text not null,
  actor_key_id uuid,
  actor_name text,
  request_id text,
  address text,
  object_type text not null,
  object_id text,
  object_name text,
  details jsonb not null default '{}'::jsonb,
  constraint audit_entries_pkey PRIMARY KEY (id)
);

create table base_model_files (
  base_model_id uuid not null,
  hash text not null,
  files jsonb not null,
  constraint base_model_files_pkey PRIMARY KEY (base_model_id),
  constraint base_model_files_base_model_id_base_models_id_fk FOREIGN KEY (base_model_id) REFERENCES base_models(id) ON DELETE CASCADE
);

create table base_model_names (
  base_model_id uuid not null,
  hash text not null,
  tensors jsonb not null,
  layers jsonb not null,
  adapters jsonb,
  constraint base_model_names_pkey PRIMARY KEY (base_model_id),
  constraint base_model_names_base_model_id_base_models_id_fk FOREIGN KEY (base_model_id) REFERENCES base_models(id) ON DELETE CASCADE
);

create table base_models (
  id uuid not null default gen_random_uuid(),
  name text not null,
  hash text not null,
  family text not null,
  dtype text not null,
  parameters bigint not null,
  bytes bigint not null,
  context_length integer not null,
  created_at timestamp with time zone not null default now(),
  constraint base_models_pkey PRIMARY KEY (id),
  constraint base_models_name_unique UNIQUE (name)
);

create table checkpoint_exports (
  checkpoint_id uuid not null,
  merged boolean not null,
  dtype text not null,
  status text not null,
  files jsonb,
  error text,
  created_at timestamp with time zone not null default now(),
  keep_seconds double precision,
  expires_at timestamp with time zone,
  constraint checkpoint_exports_checkpoint_id_merged_dtype_pk PRIMARY KEY (checkpoint_id, merged, dtype),
  constraint checkpoint_exports_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id) ON DELETE CASCADE
);

create table checkpoints (
  id uuid not null default gen_random_uuid(),
  fine_tune_id uuid not null,
  entries integer not null,
  chain bytea not null,
  weights_digest text not null,
  weights_status text not null default 'NONE'::text,
  weights_blob text,
  weights_bytes bigint,
  weights_error text,
  created_at timestamp with time zone not null default now(),
  weights_files jsonb,
  step integer not null,
  seconds double precision,
  weights_keep_seconds double precision,
  weights_expires_at timestamp with time zone,
  expires_at timestamp with time zone,
  expiry_held_by text,
  expiry_try_at timestamp with time zone,
  constraint checkpoints_pkey PRIMARY KEY (id),
  constraint checkpoints_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE
);

create table chores (
  name text not null,
  begun_at timestamp with time zone not null default now(),
  constraint chores_pkey PRIMARY KEY (name)
);

create table completion_pieces (
  completion_id uuid not null,
  sequence integer not null,
  choice integer not null,
  first_token integer not null,
  tokens bytea not null,
  text text not null,
  logprobs jsonb,
  finish text,
  at timestamp with time zone not null default now(),
  constraint completion_pieces_completion_id_sequence_pk PRIMARY KEY (completion_id, sequence),
  constraint completion_pieces_completion_id_completions_id_fk FOREIGN KEY (completion_id) REFERENCES completions(id) ON DELETE CASCADE
);

create table completions (
  id uuid not null default gen_random_uuid(),
  idempotency_key text,
  input_hash text not null,
  protocol text not null,
  base_model_id uuid not null,
  checkpoint_id uuid,
  alias text,
  task jsonb not null,
  prompt bytea not null,
  status text not null default 'QUEUED'::text,
  wanted text not null default 'RUN'::text,
  stage text,
  error_code text,
  error_message text,
  error_issues jsonb,
  usage jsonb,
  scores jsonb,
  pieces integer not null default 0,
  device text,
  attended_until timestamp with time zone,
  start_by timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  started_at timestamp with time zone,
  first_token_at timestamp with time zone,
  finished_at timestamp with time zone,
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  constraint completions_pieces CHECK ((pieces >= 0)),
  constraint completions_pkey PRIMARY KEY (id),
  constraint completions_idempotency_key_unique UNIQUE (idempotency_key),
  constraint completions_base_model_id_base_models_id_fk FOREIGN KEY (base_model_id) REFERENCES base_models(id),
  constraint completions_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id) ON DELETE CASCADE,
  constraint completions_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table datasets (
  id uuid not null default gen_random_uuid(),
  name text not null,
  sha256 text not null,
  bytes bigint not null,
  rows integer not null,
  created_at timestamp with time zone not null default now(),
  idempotency_key text,
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  deleted_at timestamp with time zone,
  expires_at timestamp with time zone,
  expiry_held_by text,
  expiry_try_at timestamp with time zone,
  constraint datasets_pkey PRIMARY KEY (id),
  constraint datasets_idempotency_key_unique UNIQUE (idempotency_key),
  constraint datasets_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table evaluated_rows (
  evaluation_id uuid not null,
  "row" integer not null,
  prompt text,
  expected text,
  answer text,
  "right" boolean,
  loss double precision not null,
  constraint evaluated_rows_evaluation_id_row_pk PRIMARY KEY (evaluation_id, "row"),
  constraint evaluated_rows_evaluation_id_model_evaluations_id_fk FOREIGN KEY (evaluation_id) REFERENCES model_evaluations(id) ON DELETE CASCADE
);

create table evaluations (
  fine_tune_id uuid not null,
  entries integer not null,
  rows integer not null,
  loss double precision not null,
  accuracy double precision,
  at timestamp with time zone not null default now(),
  step integer not null,
  kind text not null default 'VALIDATION'::text,
  f1 double precision,
  exact_match double precision,
  seconds double precision,
  constraint evaluations_fine_tune_id_kind_entries_pk PRIMARY KEY (fine_tune_id, kind, entries),
  constraint evaluations_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE
);

create table events (
  fine_tune_id uuid not null,
  sequence integer not null,
  type text not null,
  message text not null,
  at timestamp with time zone not null default now(),
  constraint events_fine_tune_id_sequence_pk PRIMARY KEY (fine_tune_id, sequence),
  constraint events_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE
);

create table fine_tunes (
  id uuid not null default gen_random_uuid(),
  idempotency_key text,
  input_hash text not null,
  name text not null,
  base_model_id uuid not null,
  dataset_id uuid not null,
  validation_dataset_id uuid,
  label_words jsonb not null,
  hyperparameters jsonb not null,
  keep_weights boolean not null default false,
  status text not null default 'QUEUED'::text,
  cancel_requested boolean not null default false,
  error_code text,
  error_message text,
  error_issues jsonb,
  log_header bytea,
  entries integer not null default 0,
  chain bytea,
  skipped_steps integer not null default 0,
  device text,
  created_at timestamp with time zone not null default now(),
  started_at timestamp with time zone,
  finished_at timestamp with time zone,
  steps_done integer not null default 0,
  zero_steps integer not null default 0,
  test_dataset_id uuid,
  picked_rate double precision,
  from_checkpoint_id uuid,
  first_entry integer not null default 0,
  first_step integer not null default 0,
  calibration_prompt text,
  wanted text not null default 'RUN'::text,
  late_settings jsonb,
  went_back_from uuid,
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  tags text[] not null default '{}'::text[],
  metadata jsonb not null default '{}'::jsonb,
  priority integer not null default 0,
  archived_at timestamp with time zone,
  best_score double precision,
  best_loss double precision,
  expires_at timestamp with time zone,
  expiry_held_by text,
  expiry_try_at timestamp with time zone,
  sweep_id uuid,
  sweep_place integer,
  constraint fine_tunes_entries CHECK ((entries >= 0)),
  constraint fine_tunes_first_entry CHECK (((first_entry >= 0) AND (first_entry <= entries))),
  constraint fine_tunes_pkey PRIMARY KEY (id),
  constraint fine_tunes_idempotency_key_unique UNIQUE (idempotency_key),
  constraint fine_tunes_went_back_from_unique UNIQUE (went_back_from),
  constraint fine_tunes_base_model_id_base_models_id_fk FOREIGN KEY (base_model_id) REFERENCES base_models(id),
  constraint fine_tunes_dataset_id_datasets_id_fk FOREIGN KEY (dataset_id) REFERENCES datasets(id),
  constraint fine_tunes_from_checkpoint_id_checkpoints_id_fk FOREIGN KEY (from_checkpoint_id) REFERENCES checkpoints(id),
  constraint fine_tunes_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id),
  constraint fine_tunes_sweep_id_sweeps_id_fk FOREIGN KEY (sweep_id) REFERENCES sweeps(id) ON DELETE SET NULL,
  constraint fine_tunes_test_dataset_id_datasets_id_fk FOREIGN KEY (test_dataset_id) REFERENCES datasets(id),
  constraint fine_tunes_validation_dataset_id_datasets_id_fk FOREIGN KEY (validation_dataset_id) REFERENCES datasets(id),
  constraint fine_tunes_went_back_from_fine_tunes_id_fk FOREIGN KEY (went_back_from) REFERENCES fine_tunes(id)
);

create table found_models (
  name text not null,
  family text,
  dtype text,
  parameters bigint,
  bytes bigint,
  context_length integer,
  problem text,
  failure text,
  requested_at timestamp with time zone,
  claimed_by text,
  claim_expires_at timestamp with time zone,
  seen_by text,
  last_seen_at timestamp with time zone not null default now(),
  constraint found_models_pkey PRIMARY KEY (name)
);

create table jobs (
  id bigint not null default nextval('jobs_id_seq'::regclass),
  kind text not null,
  fine_tune_id uuid,
  checkpoint_id uuid,
  attempts integer not null default 0,
  lease_token bigint not null default 0,
  lease_worker text,
  lease_expires_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  subject text not null,
  payload jsonb not null default '{}'::jsonb,
  priority integer not null default 0,
  needs jsonb not null default '{}'::jsonb,
  not_before timestamp with time zone,
  failed_by text,
  last_error text,
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  traceparent text,
  claimed_at timestamp with time zone,
  gives_way_to bigint,
  needs_hash uuid not null default (md5((needs)::text))::uuid,
  constraint jobs_pkey PRIMARY KEY (id),
  constraint jobs_gives_way_to_unique UNIQUE (gives_way_to),
  constraint jobs_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id) ON DELETE CASCADE,
  constraint jobs_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE,
  constraint jobs_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table log_segments (
  fine_tune_id uuid not null,
  first_entry integer not null,
  count integer not null,
  scalars bytea not null,
  decays bytea,
  constraint log_segments_packed CHECK (((octet_length(scalars) = (2 * count)) AND ((decays IS NULL) OR (octet_length(decays) = (4 * count))))),
  constraint log_segments_fine_tune_id_first_entry_pk PRIMARY KEY (fine_tune_id, first_entry),
  constraint log_segments_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE
);

create table loose_blobs (
  sha256 text not null,
  bytes bigint,
  since timestamp with time zone not null default now(),
  constraint loose_blobs_pkey PRIMARY KEY (sha256)
);

create table merged_steps (
  fine_tune_id uuid not null,
  size smallint not null,
  block integer not null,
  finite integer not null,
  loss_sum double precision,
  loss_min double precision,
  loss_max double precision,
  gradients integer not null,
  gradient_squares double precision,
  learning_rate double precision not null,
  seconds_sum double precision not null,
  constraint merged_steps_fine_tune_id_size_block_pk PRIMARY KEY (fine_tune_id, size, block),
  constraint merged_steps_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE
);

create table model_downloads (
  name text not null,
  repository text not null,
  revision text not null,
  status text not null default 'WAITING'::text,
  cancel_requested boolean not null default false,
  stage text,
  done_bytes bigint,
  total_bytes bigint,
  error_code text,
  error_message text,
  claimed_by text,
  claim_expires_at timestamp with time zone,
  requested_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  current_name text,
  current_done_bytes bigint,
  current_total_bytes bigint,
  files_done integer,
  files_total integer,
  constraint model_downloads_pkey PRIMARY KEY (name)
);

create table model_evaluations (
  id uuid not null default gen_random_uuid(),
  idempotency_key text,
  input_hash text not null,
  base_model_id uuid not null,
  checkpoint_id uuid,
  dataset_id uuid not null,
  label_words jsonb not null,
  calibration_prompt text,
  settings jsonb not null,
  status text not null default 'QUEUED'::text,
  wanted text not null default 'RUN'::text,
  error_code text,
  error_message text,
  error_issues jsonb,
  rows integer,
  loss double precision,
  accuracy double precision,
  f1 double precision,
  exact_match double precision,
  created_at timestamp with time zone not null default now(),
  started_at timestamp with time zone,
  finished_at timestamp with time zone,
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  expires_at timestamp with time zone,
  expiry_held_by text,
  expiry_try_at timestamp with time zone,
  constraint model_evaluations_pkey PRIMARY KEY (id),
  constraint model_evaluations_idempotency_key_unique UNIQUE (idempotency_key),
  constraint model_evaluations_base_model_id_base_models_id_fk FOREIGN KEY (base_model_id) REFERENCES base_models(id),
  constraint model_evaluations_checkpoint_id_checkpoints_id_fk FOREIGN KEY (checkpoint_id) REFERENCES checkpoints(id) ON DELETE CASCADE,
  constraint model_evaluations_dataset_id_datasets_id_fk FOREIGN KEY (dataset_id) REFERENCES datasets(id),
  constraint model_evaluations_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table project_turns (
  project_id uuid not null,
  session integer not null,
  seconds double precision not null,
  at timestamp with time zone not null,
  constraint project_turns_project_id_session_pk PRIMARY KEY (project_id, session),
  constraint project_turns_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE
);

create table projects (
  id uuid not null default gen_random_uuid(),
  name text not null,
  created_at timestamp with time zone not null default now(),
  quotas jsonb not null default '{}'::jsonb,
  keep jsonb not null default '{}'::jsonb,
  rates jsonb not null default '{}'::jsonb,
  constraint projects_pkey PRIMARY KEY (id),
  constraint projects_name_unique UNIQUE (name)
);

create table row_checks (
  key text not null,
  problem jsonb,
  checked_at timestamp with time zone not null default now(),
  findings jsonb,
  constraint row_checks_pkey PRIMARY KEY (key)
);

create table run_memory (
  fine_tune_id uuid not null,
  kind text not null,
  step integer not null,
  resident_bytes bigint not null,
  peak_bytes bigint,
  at timestamp with time zone not null default now(),
  constraint run_memory_fine_tune_id_kind_step_pk PRIMARY KEY (fine_tune_id, kind, step),
  constraint run_memory_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE
);

create table run_speeds (
  key text not null,
  place text not null,
  speeds jsonb not null,
  measured_at timestamp with time zone not null default now(),
  constraint run_speeds_key_place_pk PRIMARY KEY (key, place)
);

create table service_limits (
  name text not null,
  most double precision,
  constraint service_limits_pkey PRIMARY KEY (name)
);

create table shares (
  kind text not null,
  object_id uuid not null,
  project_id uuid not null,
  created_at timestamp with time zone not null default now(),
  constraint shares_kind_object_id_project_id_pk PRIMARY KEY (kind, object_id, project_id),
  constraint shares_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE
);

create table step_blocks (
  fine_tune_id uuid not null,
  block integer not null,
  finite integer not null,
  loss_sum double precision,
  loss_min double precision,
  loss_max double precision,
  gradients integer not null,
  gradient_squares double precision,
  learning_rate double precision not null,
  seconds_sum double precision not null,
  constraint step_blocks_fine_tune_id_block_pk PRIMARY KEY (fine_tune_id, block),
  constraint step_blocks_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE
);

create table step_metrics (
  fine_tune_id uuid not null,
  step integer not null,
  loss double precision,
  projected_gradient double precision,
  learning_rate double precision not null,
  skipped text,
  seconds double precision not null,
  at timestamp with time zone not null default now(),
  constraint step_metrics_fine_tune_id_step_pk PRIMARY KEY (fine_tune_id, step),
  constraint step_metrics_fine_tune_id_fine_tunes_id_fk FOREIGN KEY (fine_tune_id) REFERENCES fine_tunes(id) ON DELETE CASCADE
);

create table sweeps (
  id uuid not null default gen_random_uuid(),
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  idempotency_key text,
  input_hash text not null,
  name text not null,
  varied jsonb not null,
  created_at timestamp with time zone not null default now(),
  constraint sweeps_pkey PRIMARY KEY (id),
  constraint sweeps_idempotency_key_unique UNIQUE (idempotency_key),
  constraint sweeps_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table usage_days (
  project_id uuid not null,
  day date not null,
  kind text not null,
  amount double precision not null,
  session integer not null default 0,
  constraint usage_days_project_id_day_kind_session_pk PRIMARY KEY (project_id, day, kind, session),
  constraint usage_days_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE
);

create table webhook_attempts (
  delivery_id uuid not null,
  number integer not null,
  at timestamp with time zone not null default now(),
  seconds double precision,
  response_code integer,
  error text,
  constraint webhook_attempts_delivery_id_number_pk PRIMARY KEY (delivery_id, number),
  constraint webhook_attempts_delivery_id_webhook_deliveries_id_fk FOREIGN KEY (delivery_id) REFERENCES webhook_deliveries(id) ON DELETE CASCADE
);

create table webhook_deliveries (
  id uuid not null default gen_random_uuid(),
  message_id uuid not null,
  endpoint_id uuid not null,
  status text not null default 'PENDING'::text,
  attempts integer not null default 0,
  failures integer not null default 0,
  next_attempt_at timestamp with time zone not null default now(),
  created_at timestamp with time zone not null default now(),
  constraint webhook_deliveries_pkey PRIMARY KEY (id),
  constraint webhook_deliveries_endpoint_id_webhook_endpoints_id_fk FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints(id) ON DELETE CASCADE,
  constraint webhook_deliveries_message_id_webhook_messages_id_fk FOREIGN KEY (message_id) REFERENCES webhook_messages(id) ON DELETE CASCADE
);

create table webhook_endpoints (
  id uuid not null default gen_random_uuid(),
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  url text not null,
  description text not null,
  secret text not null,
  previous_secret text,
  previous_until timestamp with time zone,
  events text[] not null,
  enabled boolean not null default true,
  disabled_reason text,
  disabled_at timestamp with time zone,
  failing_since timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  constraint webhook_endpoints_pkey PRIMARY KEY (id),
  constraint webhook_endpoints_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table webhook_messages (
  id uuid not null default gen_random_uuid(),
  project_id uuid not null default '00000000-0000-4000-8000-000000000000'::uuid,
  type text not null,
  payload text not null,
  created_at timestamp with time zone not null default now(),
  constraint webhook_messages_pkey PRIMARY KEY (id),
  constraint webhook_messages_project_id_projects_id_fk FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table worker_pools (
  name text not null,
  kinds jsonb not null,
  families jsonb not null,
  precisions jsonb not null,
  models jsonb not null,
  memory_bytes bigint not null,
  serving_bytes bigint not null,
  seen_at timestamp with time zone not null default now(),
  constraint worker_pools_pkey PRIMARY KEY (name)
);

create table workers (
  id uuid not null,
  name text not null,
  device text not null,
  kinds jsonb not null,
  families jsonb not null,
  precisions jsonb not null,
  memory_bytes bigint not null,
  models jsonb not null,
  version text not null,
  started_at timestamp with time zone not null default now(),
  last_seen_at timestamp with time zone not null default now(),
  serving jsonb,
  asleep boolean not null default false,
  heeds jsonb not null default '["CANCEL"]'::jsonb,
  pool text,
  constraint workers_pkey PRIMARY KEY (id)
);

ALTER TABLE log_segments ALTER COLUMN decays SET STORAGE EXTERNAL;
ALTER TABLE log_segments ALTER COLUMN scalars SET STORAGE EXTERNAL;
CREATE INDEX api_keys_project ON public.api_keys USING btree (project_id, created_at, id);
CREATE INDEX audit_entries_action ON public.audit_entries USING btree (action);
CREATE INDEX audit_entries_actor_key ON public.audit_entries USING btree (actor_key_id);
CREATE INDEX audit_entries_actor_name ON public.audit_entries USING btree (actor_name);
CREATE INDEX audit_entries_at ON public.audit_entries USING btree (at, id);
CREATE INDEX audit_entries_object ON public.audit_entries USING btree (object_id);
CREATE INDEX audit_entries_project ON public.audit_entries USING btree (project_id, at, id);
CREATE INDEX audit_entries_project_action ON public.audit_entries USING btree (project_id, action);
CREATE INDEX checkpoint_exports_expires ON public.checkpoint_exports USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX checkpoints_expires ON public.checkpoints USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX checkpoints_weights_expire ON public.checkpoints USING btree (weights_expires_at) WHERE (weights_expires_at IS NOT NULL);
CREATE INDEX completions_checkpoint ON public.completions USING btree (checkpoint_id);
CREATE INDEX completions_expires ON public.completions USING btree (expires_at);
CREATE INDEX completions_queued ON public.completions USING btree (start_by) WHERE (status = 'QUEUED'::text);
CREATE INDEX datasets_created ON public.datasets USING btree (created_at, id);
CREATE INDEX datasets_expires ON public.datasets USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX datasets_project_created ON public.datasets USING btree (project_id, created_at, id);
CREATE INDEX fine_tunes_base_model ON public.fine_tunes USING btree (base_model_id);
CREATE INDEX fine_tunes_created ON public.fine_tunes USING btree (created_at, id);
CREATE INDEX fine_tunes_dataset ON public.fine_tunes USING btree (dataset_id);
CREATE INDEX fine_tunes_expires ON public.fine_tunes USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX fine_tunes_from_checkpoint ON public.fine_tunes USING btree (from_checkpoint_id);
CREATE INDEX fine_tunes_metadata ON public.fine_tunes USING gin (metadata jsonb_path_ops);
CREATE INDEX fine_tunes_project_best_loss ON public.fine_tunes USING btree (project_id, best_loss, id) WHERE (best_loss IS NOT NULL);
CREATE INDEX fine_tunes_project_best_score ON public.fine_tunes USING btree (project_id, best_score, id) WHERE (best_score IS NOT NULL);
CREATE INDEX fine_tunes_project_created ON public.fine_tunes USING btree (project_id, created_at, id);
CREATE INDEX fine_tunes_project_finished ON public.fine_tunes USING btree (project_id, finished_at, id);
CREATE INDEX fine_tunes_project_name ON public.fine_tunes USING btree (project_id, name, id);
CREATE INDEX fine_tunes_status_created ON public.fine_tunes USING btree (status, created_at, id);
CREATE INDEX fine_tunes_sweep ON public.fine_tunes USING btree (sweep_id, sweep_place) WHERE (sweep_id IS NOT NULL);
CREATE INDEX fine_tunes_tags ON public.fine_tunes USING gin (tags);
CREATE INDEX fine_tunes_test_dataset ON public.fine_tunes USING btree (test_dataset_id);
CREATE INDEX fine_tunes_validation_dataset ON public.fine_tunes USING btree (validation_dataset_id);
CREATE INDEX jobs_held ON public.jobs USING btree (project_id) WHERE (lease_worker IS NOT NULL);
CREATE INDEX jobs_needs ON public.jobs USING btree (kind, md5((needs)::text));
CREATE INDEX jobs_turn ON public.jobs USING btree (project_id, priority DESC, id);
CREATE INDEX loose_blobs_since ON public.loose_blobs USING btree (since);
CREATE INDEX model_evaluations_checkpoint ON public.model_evaluations USING btree (checkpoint_id);
CREATE INDEX model_evaluations_dataset ON public.model_evaluations USING btree (dataset_id);
CREATE INDEX model_evaluations_expires ON public.model_evaluations USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX model_evaluations_model ON public.model_evaluations USING btree (base_model_id, checkpoint_id, created_at);
CREATE INDEX model_evaluations_project_created ON public.model_evaluations USING btree (project_id, created_at, id);
CREATE INDEX shares_project ON public.shares USING btree (project_id, kind);
CREATE INDEX sweeps_project_created ON public.sweeps USING btree (project_id, created_at, id);
CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries USING btree (next_attempt_at) WHERE (status = 'PENDING'::text);
CREATE INDEX webhook_deliveries_endpoint ON public.webhook_deliveries USING btree (endpoint_id, created_at, id);
CREATE INDEX webhook_endpoints_project ON public.webhook_endpoints USING btree (project_id, created_at, id);
CREATE INDEX webhook_messages_created ON public.webhook_messages USING btree (created_at);
CREATE INDEX webhook_messages_project ON public.webhook_messages USING btree (project_id, created_at, id);
CREATE UNIQUE INDEX checkpoints_place ON public.checkpoints USING btree (fine_tune_id, entries);
CREATE UNIQUE INDEX jobs_checkpoint ON public.jobs USING btree (checkpoint_id) WHERE (kind = 'MATERIALISE'::text);
CREATE UNIQUE INDEX jobs_fine_tune ON public.jobs USING btree (fine_tune_id) WHERE (kind = 'FINE_TUNE'::text);
CREATE UNIQUE INDEX jobs_subject ON public.jobs USING btree (kind, subject);
CREATE UNIQUE INDEX webhook_deliveries_pair ON public.webhook_deliveries USING btree (message_id, endpoint_id);

-- view queue_depth: kind text, family text, model text, precision text, memory_bytes bigint, needs jsonb, free bigint, held bigint, waiting bigint, oldest_seconds double precision, held_by text[], left_by text[]

CREATE OR REPLACE FUNCTION public.audit_entries_stay()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
	IF tg_op = 'DELETE' AND current_setting('steplog.audit', true) = 'entries end' THEN
		RETURN old;
	END IF;
	RAISE EXCEPTION 'entries of the audit log are only added' USING ERRCODE = 'restrict_violation';
END $function$
;

CREATE OR REPLACE FUNCTION public.cancels_of_earlier_release()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
	IF new.wanted IS DISTINCT FROM old.wanted THEN
		new.cancel_requested := new.wanted = 'CANCEL';
	ELSIF new.cancel_requested IS DISTINCT FROM old.cancel_requested THEN
		new.wanted := CASE WHEN new.cancel_requested THEN 'CANCEL' ELSE 'RUN' END;
	END IF;
	RETURN new;
END $function$
;

CREATE OR REPLACE FUNCTION public.jobs_of_earlier_release()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
	IF new.subject IS NULL THEN
		new.subject := coalesce(new.checkpoint_id, new.fine_tune_id)::text;
	ELSIF new.kind = 'FINE_TUNE' THEN
		new.fine_tune_id := new.subject::uuid;
	ELSIF new.kind = 'MATERIALISE' THEN
		new.checkpoint_id := new.subject::uuid;
		new.fine_tune_id := (SELECT fine_tune_id FROM checkpoints WHERE id = new.checkpoint_id);
	END IF;
	RETURN new;
END $function$
;

CREATE TRIGGER audit_entries_stay BEFORE DELETE OR UPDATE ON public.audit_entries FOR EACH ROW EXECUTE FUNCTION audit_entries_stay();

CREATE TRIGGER audit_entries_stay_whole BEFORE TRUNCATE ON public.audit_entries FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_stay();

CREATE TRIGGER cancels_of_earlier_release BEFORE UPDATE OF wanted, cancel_requested ON public.fine_tunes FOR EACH ROW EXECUTE FUNCTION cancels_of_earlier_release();

CREATE TRIGGER jobs_of_earlier_release BEFORE INSERT ON public.jobs FOR EACH ROW EXECUTE FUNCTION jobs_of_earlier_release();
