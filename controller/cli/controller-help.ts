/** What `nsfleet controller --help` and `node controller/main.ts --help` say of the controller's settings. */
export const controllerSettings = `
The first SIGTERM or SIGINT ends it in order, the second at once. Sandboxes and agents run on without it.

Environment:
  DATABASE_URL               Postgres to keep the fleet in: postgres://user:password@host:5432/name
  NSFLEET_DATABASE_URL_FILE  a file (mode 0600) that holds it instead; one of the two must be set
  NATS_URL                   address of the NATS server (nats://127.0.0.1:4222)
  NSFLEET_NATS_KEYS          directory of the NATS account's keys ($XDG_CONFIG_HOME/nsfleet/nats)
  NSFLEET_API_LISTEN         where the API listens: address:port; port 0: a free one (127.0.0.1:4180)
  NSFLEET_API_TOKEN_FILE     the API's token; made if it is not there ($XDG_CONFIG_HOME/nsfleet/api-token)
  NSFLEET_API_ADDRESS_FILE   a file to write the API's address to, once it is served
  NSFLEET_LOG_LEVEL          trace, debug, info, warn, error, fatal or silent (info)
  NSFLEET_RETENTION_DAYS     how long ended namespaces, events and cleared leaks are kept: days, 1 to 3650 (30)
  NSFLEET_LEAK_RULES         a JSON file with thresholds and allow-lists of the leak rules, see docs/leaks.md
  NSFLEET_ALLOW_OLD_NATS     1: accept a NATS server with known holes; for development only
`;
