/**
 * The first layout. Keys are compared byte by byte (`COLLATE "C"`), so that no locale of the server merges or reorders
 * them.
 */
export const LAYOUT_1 = `
-- JSON under keys, apart for each workspace ('' is the process itself). 'rev' is the record's own.
CREATE TABLE bridge_rows (
  workspace text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  rev bigint NOT NULL DEFAULT 0,
  value text NOT NULL,
  PRIMARY KEY (workspace, namespace, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX bridge_rows_active ON bridge_rows (workspace) WHERE namespace = 'active';

-- Who serves a workspace. (workspace, fence) is unique, so a takeover, which changes the fence, locks the row as a
-- deletion would, and waits for writes that hold it FOR KEY SHARE; a renewal does not.
CREATE TABLE bridge_leases (
  workspace text COLLATE "C" PRIMARY KEY,
  holder text COLLATE "C" NOT NULL,
  process text COLLATE "C" NOT NULL,
  fence bigint NOT NULL,
  needed boolean NOT NULL DEFAULT false,
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  UNIQUE (workspace, fence)
) WITH (fillfactor = 50);
-- Workspaces in which something is under way.
CREATE INDEX bridge_leases_needed ON bridge_leases (workspace) WHERE needed;

-- The processes, and what they tell one another.
CREATE TABLE bridge_replicas (
  id text COLLATE "C" PRIMARY KEY,
  sockets integer NOT NULL,
  workspaces integer NOT NULL,
  told_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Deliveries of Slack that one process received and the owner of the workspace works off.
CREATE TABLE bridge_inbound (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token text COLLATE "C" NOT NULL UNIQUE,
  workspace text COLLATE "C" NOT NULL,
  delivery text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  tries integer NOT NULL DEFAULT 0,
  failed_at timestamptz,
  reply_by timestamptz,
  begun_by bigint,
  reply text
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX bridge_inbound_order ON bridge_inbound (workspace, id);
`;
