CREATE TABLE "events_dropped" (
	"one" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"seq" bigint NOT NULL,
	CONSTRAINT "events_dropped_one" CHECK (one)
);
--> statement-breakpoint
CREATE TABLE "leaks" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"rule" text NOT NULL,
	"host_id" text NOT NULL,
	"namespace_id" bigint,
	"subject" text DEFAULT '' NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"found_at" timestamp with time zone DEFAULT now() NOT NULL,
	"cleared_at" timestamp with time zone,
	"detail" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "namespace_marks" (
	"at" timestamp with time zone PRIMARY KEY DEFAULT now() NOT NULL,
	"last_id" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "reference_holders" (
	"host_id" text NOT NULL,
	"id" text NOT NULL,
	"boot_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"type" text NOT NULL,
	"key" text NOT NULL,
	"pid" integer,
	"start" text,
	"tid" integer,
	"fd" integer,
	"uid" bigint,
	"comm" text,
	"path" text,
	"mount_namespace" text,
	"detail" text,
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "reference_holders_host_id_id_pk" PRIMARY KEY("host_id","id")
);
--> statement-breakpoint
-- What is there becomes the leaf that takes what no day's leaf does; retention.ts makes the days'.
ALTER TABLE "events" RENAME TO "events_default";
--> statement-breakpoint
ALTER TABLE "events_default" DROP CONSTRAINT "events_pkey";
--> statement-breakpoint
CREATE TABLE "events" (
	"seq" bigint DEFAULT next_event_seq() NOT NULL,
	"at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"type" text NOT NULL,
	"host_id" text,
	"sandbox_id" uuid,
	"namespace_id" bigint,
	"detail" jsonb NOT NULL,
	CONSTRAINT "events_seq_at_pk" PRIMARY KEY("seq","at")
) PARTITION BY RANGE ("at");
--> statement-breakpoint
ALTER TABLE "events" ATTACH PARTITION "events_default" DEFAULT;
--> statement-breakpoint
INSERT INTO "events_dropped" ("seq") VALUES (0);
--> statement-breakpoint
ALTER TABLE "namespaces" ADD COLUMN "names" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "namespaces" ADD COLUMN "details" jsonb;--> statement-breakpoint
ALTER TABLE "namespaces" ADD COLUMN "changed_at" timestamp with time zone;--> statement-breakpoint
CREATE UNIQUE INDEX "leaks_open" ON "leaks" USING btree ("host_id","rule",coalesce(namespace_id, 0),"subject") WHERE cleared_at is null;--> statement-breakpoint
CREATE INDEX "leaks_cleared" ON "leaks" USING btree ("cleared_at");--> statement-breakpoint
CREATE INDEX "leaks_of_namespace" ON "leaks" USING btree ("namespace_id");--> statement-breakpoint
CREATE INDEX "reference_holders_by_key" ON "reference_holders" USING btree ("host_id","type","key");--> statement-breakpoint
CREATE INDEX "events_of_host" ON "events" USING btree ("host_id","seq");--> statement-breakpoint
CREATE INDEX "events_of_namespace" ON "events" USING btree ("namespace_id","seq") WHERE namespace_id is not null;--> statement-breakpoint
CREATE INDEX "events_of_sandbox" ON "events" USING btree ("sandbox_id","seq") WHERE sandbox_id is not null;
--> statement-breakpoint
-- Of namespaces that come and go, most never change: this finds those that did.
CREATE INDEX "namespaces_changed" ON "namespaces" USING btree ("changed_at") WHERE changed_at is not null;
--> statement-breakpoint
CREATE OR REPLACE VIEW "holders" AS
	SELECT n."id" AS "namespace_id", n."host_id", 'process' AS "kind", p."pid", p."start", p."uid", p."comm", NULL::bigint AS "by_namespace_id",
		NULL::integer AS "tid", NULL::integer AS "fd", NULL::text AS "path", NULL::text AS "mount_namespace", NULL::text AS "detail",
		NULL::timestamp with time zone AS "since"
	FROM "namespaces" n
	JOIN "processes" p ON p."host_id" = n."host_id" AND p."boot_id" = n."boot_id"
		AND p."namespaces"[array_position(ARRAY['mnt', 'cgroup', 'uts', 'ipc', 'user', 'pid', 'net', 'time'], n."type")] = n."key"
	WHERE n."ended_at" = 'infinity'
UNION ALL
	SELECT n."id", n."host_id", n."type" || '_for_children', p."pid", p."start", p."uid", p."comm", NULL, NULL, NULL, NULL, NULL, NULL, NULL
	FROM "namespaces" n
	JOIN "processes" p ON p."host_id" = n."host_id" AND p."boot_id" = n."boot_id"
		AND p."for_children"[array_position(ARRAY['pid', 'time'], n."type")] = n."key"
	WHERE n."ended_at" = 'infinity'
UNION ALL
	SELECT n."id", n."host_id", r."kind", r."pid", r."start", r."uid", r."comm", NULL, r."tid", r."fd", r."path", r."mount_namespace", r."detail",
		r."since"
	FROM "namespaces" n
	JOIN "reference_holders" r ON r."host_id" = n."host_id" AND r."boot_id" = n."boot_id" AND r."type" = n."type" AND r."key" = n."key"
	WHERE n."ended_at" = 'infinity'
UNION ALL
	SELECT n."id", n."host_id", 'parent', NULL, NULL, NULL, NULL, c."id", NULL, NULL, NULL, NULL, NULL, c."first_seen"
	FROM "namespaces" n
	JOIN "namespaces" c ON c."host_id" = n."host_id" AND c."boot_id" = n."boot_id" AND c."type" = n."type" AND c."parent" = n."key"
	WHERE n."ended_at" = 'infinity' AND c."ended_at" = 'infinity'
UNION ALL
	SELECT n."id", n."host_id", 'owner', NULL, NULL, NULL, NULL, c."id", NULL, NULL, NULL, NULL, NULL, c."first_seen"
	FROM "namespaces" n
	JOIN "namespaces" c ON c."host_id" = n."host_id" AND c."boot_id" = n."boot_id" AND c."owner" = n."key"
	WHERE n."type" = 'user' AND n."ended_at" = 'infinity' AND c."ended_at" = 'infinity';
