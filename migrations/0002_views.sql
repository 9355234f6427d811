-- For reading by other programs: docs/sql-views.md says what is promised. Columns are added, never renamed or taken away.
CREATE SCHEMA "nsfleet_views";
--> statement-breakpoint
CREATE VIEW "nsfleet_views"."hosts" AS
	SELECT h."id" AS "host_id", h."name" AS "host_name", coalesce(b."at" > now() - interval '20 seconds', false) AS "ready", b."at" AS "last_beat_at",
		a."reported_at" AS "last_report_at", a."report_boot_id" AS "boot_id", h."labels", h."facts", (a."counts" ->> 'partial')::boolean AS "partial",
		a."counts" -> 'hidden' AS "hidden", h."enrolled_at"
	FROM "hosts" h JOIN "agent_sessions" a ON a."host_id" = h."id" JOIN "beats" b ON b."host_id" = h."id";
--> statement-breakpoint
CREATE VIEW "nsfleet_views"."namespace_history" AS
	SELECT n."id" AS "namespace_id", n."host_id", h."name" AS "host_name", n."boot_id", n."type", n."key", n."inode", n."parent" AS "parent_key",
		n."owner" AS "owner_key", n."owner_uid", n."process_count", n."leader_pid", n."leader_uid", n."leader_comm", n."leader_command",
		n."names" -> 0 ->> 'name' AS "name", n."names" -> 0 ->> 'source' AS "name_source", n."names", n."details", n."first_seen",
		n."ended_at", n."end_is_bound" AS "end_unseen", n."changed_at"
	FROM "namespaces" n JOIN "hosts" h ON h."id" = n."host_id";
--> statement-breakpoint
CREATE VIEW "nsfleet_views"."namespaces" AS
	SELECT n."id" AS "namespace_id", n."host_id", h."name" AS "host_name", n."boot_id", n."type", n."key", n."inode", n."parent" AS "parent_key",
		n."owner" AS "owner_key", n."owner_uid", n."process_count", n."leader_pid", n."leader_uid", n."leader_comm", n."leader_command",
		n."names" -> 0 ->> 'name' AS "name", n."names" -> 0 ->> 'source' AS "name_source", n."names", n."details", n."first_seen", n."changed_at"
	FROM "namespaces" n JOIN "hosts" h ON h."id" = n."host_id"
	WHERE n."ended_at" = 'infinity';
--> statement-breakpoint
CREATE VIEW "nsfleet_views"."holders" AS
	SELECT o."namespace_id", o."host_id", o."kind", o."pid", o."start" AS "start_ticks", o."tid", o."fd", o."uid", o."comm", o."path",
		o."mount_namespace" AS "mount_namespace_key", o."detail", o."since", o."by_namespace_id"
	FROM "holders" o;
--> statement-breakpoint
CREATE VIEW "nsfleet_views"."leaks" AS
	SELECT l."id" AS "leak_id", l."rule", l."host_id", h."name" AS "host_name", l."namespace_id", l."subject", l."since", l."found_at", l."cleared_at",
		l."detail" ->> 'reason' AS "reason", l."detail" -> 'pins' AS "pins"
	FROM "leaks" l JOIN "hosts" h ON h."id" = l."host_id";
--> statement-breakpoint
CREATE VIEW "nsfleet_views"."events" AS
	SELECT e."seq", e."at", e."type", e."host_id", e."sandbox_id", e."namespace_id", e."detail"
	FROM "events" e;
--> statement-breakpoint
CREATE VIEW "nsfleet_views"."sandboxes" AS
	SELECT s."id" AS "sandbox_id", s."name", p."state", p."wanted", p."host_id", h."name" AS "host_name", s."labels", s."created_at", p."started_at",
		p."ended_at", p."exit_code", p."exit_signal"
	FROM "sandboxes" s JOIN "placements" p ON p."sandbox_id" = s."id" AND NOT p."superseded" JOIN "hosts" h ON h."id" = p."host_id";
