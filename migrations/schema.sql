-- Made from the catalog by test/controller/store/schema-dump.ts. Not to be edited, not to be run.
CREATE SEQUENCE decisions_seq_seq AS bigint;
CREATE SEQUENCE event_seq AS bigint;
CREATE SEQUENCE leaks_id_seq AS bigint;
CREATE SEQUENCE namespaces_id_seq AS bigint;
CREATE SEQUENCE sandboxes_seq_seq AS bigint;
CREATE OR REPLACE FUNCTION public.next_event_seq()
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
begin
	perform pg_advisory_xact_lock(7234150, 1);
	return nextval('event_seq');
end
$function$
;

CREATE TABLE agent_sessions (
  host_id text NOT NULL,
  boot_id uuid,
  epoch bigint,
  report_boot_id uuid,
  report_epoch bigint,
  report_seq bigint,
  reported_at timestamp with time zone,
  confirmed_at timestamp with time zone,
  counts jsonb,
  CONSTRAINT agent_sessions_host_id_hosts_id_fk FOREIGN KEY (host_id) REFERENCES hosts(id),
  CONSTRAINT agent_sessions_pkey PRIMARY KEY (host_id)
);

CREATE TABLE beats (
  host_id text NOT NULL,
  at timestamp with time zone,
  load1 double precision,
  CONSTRAINT beats_host_id_hosts_id_fk FOREIGN KEY (host_id) REFERENCES hosts(id),
  CONSTRAINT beats_pkey PRIMARY KEY (host_id)
) WITH (fillfactor=50);

CREATE TABLE decisions (
  seq bigint NOT NULL DEFAULT nextval('decisions_seq_seq'::regclass),
  sandbox_id uuid NOT NULL,
  placement_id uuid,
  at timestamp with time zone NOT NULL DEFAULT now(),
  decision jsonb NOT NULL,
  CONSTRAINT decisions_placement_id_placements_id_fk FOREIGN KEY (placement_id) REFERENCES placements(id),
  CONSTRAINT decisions_sandbox_id_sandboxes_id_fk FOREIGN KEY (sandbox_id) REFERENCES sandboxes(id),
  CONSTRAINT decisions_pkey PRIMARY KEY (seq)
);
CREATE INDEX decisions_of_sandbox ON public.decisions USING btree (sandbox_id, seq);

CREATE TABLE events (
  seq bigint NOT NULL DEFAULT next_event_seq(),
  at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  type text NOT NULL,
  host_id text,
  sandbox_id uuid,
  namespace_id bigint,
  detail jsonb NOT NULL,
  CONSTRAINT events_seq_at_pk PRIMARY KEY (seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX events_of_host ON ONLY public.events USING btree (host_id, seq);
CREATE INDEX events_of_namespace ON ONLY public.events USING btree (namespace_id, seq) WHERE (namespace_id IS NOT NULL);
CREATE INDEX events_of_sandbox ON ONLY public.events USING btree (sandbox_id, seq) WHERE (sandbox_id IS NOT NULL);

CREATE TABLE events_default PARTITION OF events DEFAULT;

CREATE TABLE events_dropped (
  one boolean NOT NULL DEFAULT true,
  seq bigint NOT NULL,
  CONSTRAINT events_dropped_one CHECK (one),
  CONSTRAINT events_dropped_pkey PRIMARY KEY (one)
);

CREATE VIEW holders AS
 SELECT n.id AS namespace_id,
    n.host_id,
    'process'::text AS kind,
    p.pid,
    p.start,
    p.uid,
    p.comm,
    NULL::bigint AS by_namespace_id,
    NULL::integer AS tid,
    NULL::integer AS fd,
    NULL::text AS path,
    NULL::text AS mount_namespace,
    NULL::text AS detail,
    NULL::timestamp with time zone AS since
   FROM namespaces n
     JOIN processes p ON p.host_id = n.host_id AND p.boot_id = n.boot_id AND p.namespaces[array_position(ARRAY['mnt'::text, 'cgroup'::text, 'uts'::text, 'ipc'::text, 'user'::text, 'pid'::text, 'net'::text, 'time'::text], n.type)] = n.key
  WHERE n.ended_at = 'infinity'::timestamp with time zone
UNION ALL
 SELECT n.id AS namespace_id,
    n.host_id,
    n.type || '_for_children'::text AS kind,
    p.pid,
    p.start,
    p.uid,
    p.comm,
    NULL::bigint AS by_namespace_id,
    NULL::integer AS tid,
    NULL::integer AS fd,
    NULL::text AS path,
    NULL::text AS mount_namespace,
    NULL::text AS detail,
    NULL::timestamp with time zone AS since
   FROM namespaces n
     JOIN processes p ON p.host_id = n.host_id AND p.boot_id = n.boot_id AND p.for_children[array_position(ARRAY['pid'::text, 'time'::text], n.type)] = n.key
  WHERE n.ended_at = 'infinity'::timestamp with time zone
UNION ALL
 SELECT n.id AS namespace_id,
    n.host_id,
    r.kind,
    r.pid,
    r.start,
    r.uid,
    r.comm,
    NULL::bigint AS by_namespace_id,
    r.tid,
    r.fd,
    r.path,
    r.mount_namespace,
    r.detail,
    r.since
   FROM namespaces n
     JOIN reference_holders r ON r.host_id = n.host_id AND r.boot_id = n.boot_id AND r.type = n.type AND r.key = n.key
  WHERE n.ended_at = 'infinity'::timestamp with time zone
UNION ALL
 SELECT n.id AS namespace_id,
    n.host_id,
    'parent'::text AS kind,
    NULL::integer AS pid,
    NULL::text AS start,
    NULL::bigint AS uid,
    NULL::text AS comm,
    c.id AS by_namespace_id,
    NULL::integer AS tid,
    NULL::integer AS fd,
    NULL::text AS path,
    NULL::text AS mount_namespace,
    NULL::text AS detail,
    c.first_seen AS since
   FROM namespaces n
     JOIN namespaces c ON c.host_id = n.host_id AND c.boot_id = n.boot_id AND c.type = n.type AND c.parent = n.key
  WHERE n.ended_at = 'infinity'::timestamp with time zone AND c.ended_at = 'infinity'::timestamp with time zone
UNION ALL
 SELECT n.id AS namespace_id,
    n.host_id,
    'owner'::text AS kind,
    NULL::integer AS pid,
    NULL::text AS start,
    NULL::bigint AS uid,
    NULL::text AS comm,
    c.id AS by_namespace_id,
    NULL::integer AS tid,
    NULL::integer AS fd,
    NULL::text AS path,
    NULL::text AS mount_namespace,
    NULL::text AS detail,
    c.first_seen AS since
   FROM namespaces n
     JOIN namespaces c ON c.host_id = n.host_id AND c.boot_id = n.boot_id AND c.owner = n.key
  WHERE n.type = 'user'::text AND n.ended_at = 'infinity'::timestamp with time zone AND c.ended_at = 'infinity'::timestamp with time zone;

CREATE TABLE hosts (
  id text NOT NULL,
  name text NOT NULL,
  public_key text NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}'::jsonb,
  capacity jsonb NOT NULL DEFAULT '{"idRanges": 0, "sandboxes": 0}'::jsonb,
  id_pool jsonb NOT NULL DEFAULT '{"size": 65536, "count": 0, "start": 0}'::jsonb,
  facts jsonb,
  enrolled_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT hosts_pkey PRIMARY KEY (id),
  CONSTRAINT hosts_public_key_unique UNIQUE (public_key)
);
CREATE INDEX hosts_by_name ON public.hosts USING btree (name, id);

CREATE TABLE leaks (
  id bigint NOT NULL DEFAULT nextval('leaks_id_seq'::regclass),
  rule text NOT NULL,
  host_id text NOT NULL,
  namespace_id bigint,
  subject text NOT NULL DEFAULT ''::text,
  since timestamp with time zone NOT NULL,
  found_at timestamp with time zone NOT NULL DEFAULT now(),
  cleared_at timestamp with time zone,
  detail jsonb NOT NULL,
  CONSTRAINT leaks_pkey PRIMARY KEY (id)
);
CREATE INDEX leaks_cleared ON public.leaks USING btree (cleared_at);
CREATE INDEX leaks_of_namespace ON public.leaks USING btree (namespace_id);
CREATE UNIQUE INDEX leaks_open ON public.leaks USING btree (host_id, rule, COALESCE(namespace_id, (0)::bigint), subject) WHERE (cleared_at IS NULL);

CREATE TABLE namespace_marks (
  at timestamp with time zone NOT NULL DEFAULT now(),
  last_id bigint NOT NULL,
  CONSTRAINT namespace_marks_pkey PRIMARY KEY (at)
);

CREATE TABLE namespaces (
  id bigint NOT NULL DEFAULT nextval('namespaces_id_seq'::regclass),
  host_id text NOT NULL,
  boot_id uuid NOT NULL,
  type text NOT NULL,
  key text NOT NULL,
  inode bigint NOT NULL,
  parent text,
  owner text,
  owner_uid bigint,
  process_count integer NOT NULL,
  leader_pid integer,
  leader_uid bigint,
  leader_comm text,
  leader_command text,
  first_seen timestamp with time zone NOT NULL DEFAULT now(),
  ended_at timestamp with time zone NOT NULL DEFAULT 'infinity'::timestamp with time zone,
  end_is_bound boolean NOT NULL DEFAULT false,
  names jsonb NOT NULL DEFAULT '[]'::jsonb,
  details jsonb,
  changed_at timestamp with time zone,
  CONSTRAINT namespaces_id_ended_at_pk PRIMARY KEY (id, ended_at)
) PARTITION BY RANGE (ended_at);
CREATE INDEX namespaces_by_host ON ONLY public.namespaces USING btree (host_id, id);
CREATE INDEX namespaces_changed ON ONLY public.namespaces USING btree (changed_at) WHERE (changed_at IS NOT NULL);

CREATE TABLE namespaces_current PARTITION OF namespaces FOR VALUES FROM ('infinity') TO (MAXVALUE);
CREATE INDEX namespaces_current_by_inode ON public.namespaces_current USING btree (inode);
CREATE INDEX namespaces_current_by_key ON public.namespaces_current USING btree (key);
CREATE UNIQUE INDEX namespaces_current_identity ON public.namespaces_current USING btree (host_id, boot_id, type, key);

CREATE TABLE namespaces_past PARTITION OF namespaces DEFAULT;

CREATE VIEW nsfleet_views.events AS
 SELECT seq,
    at,
    type,
    host_id,
    sandbox_id,
    namespace_id,
    detail
   FROM events e;

CREATE VIEW nsfleet_views.holders AS
 SELECT namespace_id,
    host_id,
    kind,
    pid,
    start AS start_ticks,
    tid,
    fd,
    uid,
    comm,
    path,
    mount_namespace AS mount_namespace_key,
    detail,
    since,
    by_namespace_id
   FROM holders o;

CREATE VIEW nsfleet_views.hosts AS
 SELECT h.id AS host_id,
    h.name AS host_name,
    COALESCE(b.at > (now() - '00:00:20'::interval), false) AS ready,
    b.at AS last_beat_at,
    a.reported_at AS last_report_at,
    a.report_boot_id AS boot_id,
    h.labels,
    h.facts,
    (a.counts ->> 'partial'::text)::boolean AS partial,
    a.counts -> 'hidden'::text AS hidden,
    h.enrolled_at
   FROM hosts h
     JOIN agent_sessions a ON a.host_id = h.id
     JOIN beats b ON b.host_id = h.id;

CREATE VIEW nsfleet_views.leaks AS
 SELECT l.id AS leak_id,
    l.rule,
    l.host_id,
    h.name AS host_name,
    l.namespace_id,
    l.subject,
    l.since,
    l.found_at,
    l.cleared_at,
    l.detail ->> 'reason'::text AS reason,
    l.detail -> 'pins'::text AS pins
   FROM leaks l
     JOIN hosts h ON h.id = l.host_id;

CREATE VIEW nsfleet_views.namespace_history AS
 SELECT n.id AS namespace_id,
    n.host_id,
    h.name AS host_name,
    n.boot_id,
    n.type,
    n.key,
    n.inode,
    n.parent AS parent_key,
    n.owner AS owner_key,
    n.owner_uid,
    n.process_count,
    n.leader_pid,
    n.leader_uid,
    n.leader_comm,
    n.leader_command,
    (n.names -> 0) ->> 'name'::text AS name,
    (n.names -> 0) ->> 'source'::text AS name_source,
    n.names,
    n.details,
    n.first_seen,
    n.ended_at,
    n.end_is_bound AS end_unseen,
    n.changed_at
   FROM namespaces n
     JOIN hosts h ON h.id = n.host_id;

CREATE VIEW nsfleet_views.namespaces AS
 SELECT n.id AS namespace_id,
    n.host_id,
    h.name AS host_name,
    n.boot_id,
    n.type,
    n.key,
    n.inode,
    n.parent AS parent_key,
    n.owner AS owner_key,
    n.owner_uid,
    n.process_count,
    n.leader_pid,
    n.leader_uid,
    n.leader_comm,
    n.leader_command,
    (n.names -> 0) ->> 'name'::text AS name,
    (n.names -> 0) ->> 'source'::text AS name_source,
    n.names,
    n.details,
    n.first_seen,
    n.changed_at
   FROM namespaces n
     JOIN hosts h ON h.id = n.host_id
  WHERE n.ended_at = 'infinity'::timestamp with time zone;

CREATE VIEW nsfleet_views.sandboxes AS
 SELECT s.id AS sandbox_id,
    s.name,
    p.state,
    p.wanted,
    p.host_id,
    h.name AS host_name,
    s.labels,
    s.created_at,
    p.started_at,
    p.ended_at,
    p.exit_code,
    p.exit_signal
   FROM sandboxes s
     JOIN placements p ON p.sandbox_id = s.id AND NOT p.superseded
     JOIN hosts h ON h.id = p.host_id;

CREATE TABLE placement_namespaces (
  placement_id uuid NOT NULL,
  type text NOT NULL,
  host_id text NOT NULL,
  boot_id uuid NOT NULL,
  key text NOT NULL,
  inode bigint NOT NULL,
  CONSTRAINT placement_namespaces_placement_id_placements_id_fk FOREIGN KEY (placement_id) REFERENCES placements(id),
  CONSTRAINT placement_namespaces_placement_id_type_pk PRIMARY KEY (placement_id, type)
);
CREATE INDEX placement_namespaces_by_key ON public.placement_namespaces USING btree (host_id, boot_id, type, key);

CREATE TABLE placements (
  id uuid NOT NULL,
  sandbox_id uuid NOT NULL,
  host_id text NOT NULL,
  superseded boolean NOT NULL DEFAULT false,
  wanted text NOT NULL DEFAULT 'running'::text,
  generation integer NOT NULL DEFAULT 1,
  stop_signal text,
  stop_grace_ms integer,
  wanted_at timestamp with time zone NOT NULL DEFAULT now(),
  id_range_start bigint,
  id_range_count integer,
  state text NOT NULL DEFAULT 'placed'::text,
  status_seq bigint NOT NULL DEFAULT 0,
  answered_generation integer NOT NULL DEFAULT 0,
  init_pid integer,
  command_pid integer,
  exit_code integer,
  exit_signal integer,
  error jsonb,
  started_at timestamp with time zone,
  ended_at timestamp with time zone,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  oom_kills integer,
  lacks jsonb,
  observed jsonb,
  ended_by text,
  CONSTRAINT placements_state CHECK ((state = ANY (ARRAY['placed'::text, 'running'::text, 'paused'::text, 'stopping'::text, 'stopped'::text, 'failed'::text, 'lost'::text, 'removed'::text]))),
  CONSTRAINT placements_wanted CHECK ((wanted = ANY (ARRAY['running'::text, 'paused'::text, 'stopped'::text, 'removed'::text]))),
  CONSTRAINT placements_host_id_hosts_id_fk FOREIGN KEY (host_id) REFERENCES hosts(id),
  CONSTRAINT placements_sandbox_id_sandboxes_id_fk FOREIGN KEY (sandbox_id) REFERENCES sandboxes(id),
  CONSTRAINT placements_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX placements_current ON public.placements USING btree (sandbox_id) WHERE (NOT superseded);
CREATE UNIQUE INDEX placements_id_range ON public.placements USING btree (host_id, id_range_start) WHERE ((state <> 'removed'::text) AND (id_range_start IS NOT NULL));
CREATE INDEX placements_of_host ON public.placements USING btree (host_id) WHERE (state <> 'removed'::text);
CREATE INDEX placements_of_sandbox ON public.placements USING btree (sandbox_id);
CREATE INDEX placements_unanswered ON public.placements USING btree (wanted_at) WHERE ((answered_generation < generation) AND (state <> 'removed'::text));

CREATE TABLE processes (
  host_id text NOT NULL,
  pid integer NOT NULL,
  boot_id uuid NOT NULL,
  start text NOT NULL,
  ppid integer NOT NULL,
  uid bigint NOT NULL,
  comm text NOT NULL,
  namespaces text[] NOT NULL,
  for_children text[] NOT NULL,
  CONSTRAINT processes_host_id_pid_pk PRIMARY KEY (host_id, pid)
);

CREATE TABLE reference_holders (
  host_id text NOT NULL,
  id text NOT NULL,
  boot_id uuid NOT NULL,
  kind text NOT NULL,
  type text NOT NULL,
  key text NOT NULL,
  pid integer,
  start text,
  tid integer,
  fd integer,
  uid bigint,
  comm text,
  path text,
  mount_namespace text,
  detail text,
  since timestamp with time zone NOT NULL DEFAULT now(),
  cgroup text,
  CONSTRAINT reference_holders_host_id_id_pk PRIMARY KEY (host_id, id)
);
CREATE INDEX reference_holders_by_key ON public.reference_holders USING btree (host_id, type, key);

CREATE UNLOGGED TABLE report_pages (
  host_id text NOT NULL,
  boot_id uuid NOT NULL,
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  page integer NOT NULL,
  pages integer NOT NULL,
  rows jsonb NOT NULL,
  staged_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT report_pages_host_id_boot_id_epoch_seq_page_pk PRIMARY KEY (host_id, boot_id, epoch, seq, page)
);

CREATE TABLE sandboxes (
  id uuid NOT NULL,
  seq bigint NOT NULL DEFAULT nextval('sandboxes_seq_seq'::regclass),
  name text NOT NULL,
  labels jsonb NOT NULL,
  auto_remove boolean NOT NULL,
  spec jsonb NOT NULL,
  idempotency_key text,
  request_hash text NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  removed_at timestamp with time zone,
  CONSTRAINT sandboxes_pkey PRIMARY KEY (id),
  CONSTRAINT sandboxes_idempotency_key_unique UNIQUE (idempotency_key)
);
CREATE UNIQUE INDEX sandboxes_by_seq ON public.sandboxes USING btree (seq);
CREATE UNIQUE INDEX sandboxes_name ON public.sandboxes USING btree (name) WHERE (removed_at IS NULL);
