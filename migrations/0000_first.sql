CREATE TABLE "agent_sessions" (
	"host_id" text PRIMARY KEY NOT NULL,
	"boot_id" uuid,
	"epoch" bigint,
	"report_boot_id" uuid,
	"report_epoch" bigint,
	"report_seq" bigint,
	"reported_at" timestamp with time zone,
	"confirmed_at" timestamp with time zone,
	"counts" jsonb
);
--> statement-breakpoint
CREATE TABLE "beats" (
	"host_id" text PRIMARY KEY NOT NULL,
	"at" timestamp with time zone,
	"load1" double precision
) WITH (fillfactor = 50);
--> statement-breakpoint
CREATE TABLE "decisions" (
	"seq" bigserial PRIMARY KEY NOT NULL,
	"sandbox_id" uuid NOT NULL,
	"placement_id" uuid,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"decision" jsonb NOT NULL
);
--> statement-breakpoint
-- Event numbers in the order of commits: whoever holds the lock, until its transaction ends, is the only one that can take one, so a
-- number cannot become visible while a smaller one is still uncommitted. (7234150, 1) is this lock's name, (7234150, 0) the migrations'.
CREATE SEQUENCE "event_seq" AS bigint;
--> statement-breakpoint
CREATE FUNCTION "next_event_seq"() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
begin
	perform pg_advisory_xact_lock(7234150, 1);
	return nextval('event_seq');
end
$$;
--> statement-breakpoint
CREATE TABLE "events" (
	"seq" bigint PRIMARY KEY DEFAULT next_event_seq() NOT NULL,
	"at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"type" text NOT NULL,
	"host_id" text,
	"sandbox_id" uuid,
	"namespace_id" bigint,
	"detail" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "hosts" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"public_key" text NOT NULL,
	"labels" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"capacity" jsonb DEFAULT '{"sandboxes":0,"idRanges":0}'::jsonb NOT NULL,
	"id_pool" jsonb DEFAULT '{"start":0,"count":0,"size":65536}'::jsonb NOT NULL,
	"facts" jsonb,
	"enrolled_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "hosts_public_key_unique" UNIQUE("public_key")
);
--> statement-breakpoint
CREATE TABLE "namespaces" (
	"id" bigserial NOT NULL,
	"host_id" text NOT NULL,
	"boot_id" uuid NOT NULL,
	"type" text NOT NULL,
	"key" text NOT NULL,
	"inode" bigint NOT NULL,
	"parent" text,
	"owner" text,
	"owner_uid" bigint,
	"process_count" integer NOT NULL,
	"leader_pid" integer,
	"leader_uid" bigint,
	"leader_comm" text,
	"leader_command" text,
	"first_seen" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone DEFAULT 'infinity' NOT NULL,
	"end_is_bound" boolean DEFAULT false NOT NULL,
	CONSTRAINT "namespaces_id_ended_at_pk" PRIMARY KEY("id","ended_at")
) PARTITION BY RANGE ("ended_at");
--> statement-breakpoint
CREATE TABLE "namespaces_current" PARTITION OF "namespaces" FOR VALUES FROM ('infinity') TO (MAXVALUE);
--> statement-breakpoint
-- Until retention is set up, all that is past.
CREATE TABLE "namespaces_past" PARTITION OF "namespaces" DEFAULT;
--> statement-breakpoint
CREATE UNIQUE INDEX "namespaces_current_identity" ON "namespaces_current" USING btree ("host_id","boot_id","type","key");
--> statement-breakpoint
CREATE INDEX "namespaces_current_by_key" ON "namespaces_current" USING btree ("key");
--> statement-breakpoint
CREATE INDEX "namespaces_current_by_inode" ON "namespaces_current" USING btree ("inode");
--> statement-breakpoint
CREATE TABLE "placement_namespaces" (
	"placement_id" uuid NOT NULL,
	"type" text NOT NULL,
	"host_id" text NOT NULL,
	"boot_id" uuid NOT NULL,
	"key" text NOT NULL,
	"inode" bigint NOT NULL,
	CONSTRAINT "placement_namespaces_placement_id_type_pk" PRIMARY KEY("placement_id","type")
);
--> statement-breakpoint
CREATE TABLE "placements" (
	"id" uuid PRIMARY KEY NOT NULL,
	"sandbox_id" uuid NOT NULL,
	"host_id" text NOT NULL,
	"superseded" boolean DEFAULT false NOT NULL,
	"wanted" text DEFAULT 'running' NOT NULL,
	"generation" integer DEFAULT 1 NOT NULL,
	"stop_signal" text,
	"stop_grace_ms" integer,
	"wanted_at" timestamp with time zone DEFAULT now() NOT NULL,
	"id_range_start" bigint,
	"id_range_count" integer,
	"state" text DEFAULT 'placed' NOT NULL,
	"status_seq" bigint DEFAULT 0 NOT NULL,
	"answered_generation" integer DEFAULT 0 NOT NULL,
	"init_pid" integer,
	"command_pid" integer,
	"exit_code" integer,
	"exit_signal" integer,
	"error" jsonb,
	"started_at" timestamp with time zone,
	"ended_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "placements_state" CHECK (state in ('placed', 'running', 'stopping', 'stopped', 'failed', 'lost', 'removed')),
	CONSTRAINT "placements_wanted" CHECK (wanted in ('running', 'stopped', 'removed'))
);
--> statement-breakpoint
CREATE TABLE "processes" (
	"host_id" text NOT NULL,
	"pid" integer NOT NULL,
	"boot_id" uuid NOT NULL,
	"start" text NOT NULL,
	"ppid" integer NOT NULL,
	"uid" bigint NOT NULL,
	"comm" text NOT NULL,
	"namespaces" text[] NOT NULL,
	"for_children" text[] NOT NULL,
	CONSTRAINT "processes_host_id_pid_pk" PRIMARY KEY("host_id","pid")
);
--> statement-breakpoint
-- Unlogged: what a crash of the server takes from it, the agents send again.
CREATE UNLOGGED TABLE "report_pages" (
	"host_id" text NOT NULL,
	"boot_id" uuid NOT NULL,
	"epoch" bigint NOT NULL,
	"seq" bigint NOT NULL,
	"page" integer NOT NULL,
	"pages" integer NOT NULL,
	"rows" jsonb NOT NULL,
	CONSTRAINT "report_pages_host_id_boot_id_epoch_seq_page_pk" PRIMARY KEY("host_id","boot_id","epoch","seq","page")
);
--> statement-breakpoint
CREATE TABLE "sandboxes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"name" text NOT NULL,
	"labels" jsonb NOT NULL,
	"auto_remove" boolean NOT NULL,
	"spec" jsonb NOT NULL,
	"idempotency_key" text,
	"request_hash" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"removed_at" timestamp with time zone,
	CONSTRAINT "sandboxes_idempotency_key_unique" UNIQUE("idempotency_key")
);
--> statement-breakpoint
ALTER TABLE "agent_sessions" ADD CONSTRAINT "agent_sessions_host_id_hosts_id_fk" FOREIGN KEY ("host_id") REFERENCES "public"."hosts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "beats" ADD CONSTRAINT "beats_host_id_hosts_id_fk" FOREIGN KEY ("host_id") REFERENCES "public"."hosts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "decisions" ADD CONSTRAINT "decisions_sandbox_id_sandboxes_id_fk" FOREIGN KEY ("sandbox_id") REFERENCES "public"."sandboxes"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "decisions" ADD CONSTRAINT "decisions_placement_id_placements_id_fk" FOREIGN KEY ("placement_id") REFERENCES "public"."placements"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "placement_namespaces" ADD CONSTRAINT "placement_namespaces_placement_id_placements_id_fk" FOREIGN KEY ("placement_id") REFERENCES "public"."placements"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "placements" ADD CONSTRAINT "placements_sandbox_id_sandboxes_id_fk" FOREIGN KEY ("sandbox_id") REFERENCES "public"."sandboxes"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "placements" ADD CONSTRAINT "placements_host_id_hosts_id_fk" FOREIGN KEY ("host_id") REFERENCES "public"."hosts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "decisions_of_sandbox" ON "decisions" USING btree ("sandbox_id","seq");--> statement-breakpoint
CREATE INDEX "hosts_by_name" ON "hosts" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "namespaces_by_host" ON "namespaces" USING btree ("host_id","id");--> statement-breakpoint
CREATE INDEX "placement_namespaces_by_key" ON "placement_namespaces" USING btree ("host_id","boot_id","type","key");--> statement-breakpoint
CREATE UNIQUE INDEX "placements_current" ON "placements" USING btree ("sandbox_id") WHERE not superseded;--> statement-breakpoint
CREATE INDEX "placements_of_sandbox" ON "placements" USING btree ("sandbox_id");--> statement-breakpoint
CREATE INDEX "placements_of_host" ON "placements" USING btree ("host_id") WHERE state <> 'removed';--> statement-breakpoint
CREATE INDEX "placements_unanswered" ON "placements" USING btree ("wanted_at") WHERE answered_generation < generation and state <> 'removed';--> statement-breakpoint
CREATE UNIQUE INDEX "placements_id_range" ON "placements" USING btree ("host_id","id_range_start") WHERE state <> 'removed' and id_range_start is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "sandboxes_by_seq" ON "sandboxes" USING btree ("seq");--> statement-breakpoint
CREATE UNIQUE INDEX "sandboxes_name" ON "sandboxes" USING btree ("name") WHERE removed_at is null;
--> statement-breakpoint
-- What holds each current namespace: one row a reason.
CREATE VIEW "holders" AS
	SELECT n."id" AS "namespace_id", n."host_id", 'process' AS "kind", p."pid", p."start", p."uid", p."comm", NULL::bigint AS "by_namespace_id"
	FROM "namespaces" n
	JOIN "processes" p ON p."host_id" = n."host_id" AND p."boot_id" = n."boot_id"
		AND p."namespaces"[array_position(ARRAY['mnt', 'cgroup', 'uts', 'ipc', 'user', 'pid', 'net', 'time'], n."type")] = n."key"
	WHERE n."ended_at" = 'infinity'
UNION ALL
	SELECT n."id", n."host_id", n."type" || '_for_children', p."pid", p."start", p."uid", p."comm", NULL
	FROM "namespaces" n
	JOIN "processes" p ON p."host_id" = n."host_id" AND p."boot_id" = n."boot_id"
		AND p."for_children"[array_position(ARRAY['pid', 'time'], n."type")] = n."key"
	WHERE n."ended_at" = 'infinity'
UNION ALL
	SELECT n."id", n."host_id", 'parent', NULL, NULL, NULL, NULL, c."id"
	FROM "namespaces" n
	JOIN "namespaces" c ON c."host_id" = n."host_id" AND c."boot_id" = n."boot_id" AND c."type" = n."type" AND c."parent" = n."key"
	WHERE n."ended_at" = 'infinity' AND c."ended_at" = 'infinity'
UNION ALL
	SELECT n."id", n."host_id", 'owner', NULL, NULL, NULL, NULL, c."id"
	FROM "namespaces" n
	JOIN "namespaces" c ON c."host_id" = n."host_id" AND c."boot_id" = n."boot_id" AND c."owner" = n."key"
	WHERE n."type" = 'user' AND n."ended_at" = 'infinity' AND c."ended_at" = 'infinity';
