/** What `npm start -- --help` prints, before anything is set up. Plain JavaScript, for any Node. */
export const helpText = `usage: npm start [-- --once]

Starts Postgres, nats-server, a controller and the agent of this host, makes a sandbox, and shows it beside the host.
Stays in the foreground; Ctrl-C stops all of it and keeps the data, a second one hastens.

  --once       stop again when all is shown
  -h, --help   this text

environment:
  DATABASE_URL         a Postgres to use instead of starting one
  NATS_URL             a nats-server to use instead of starting one
  NATS_SERVER          path of the nats-server to start
  NSFLEET_API_LISTEN   address:port of the API (default 127.0.0.1:0, a free port)
  NSFLEET_HOST_NAME    name of this host (default: its hostname)
  XDG_{CONFIG,DATA,STATE,CACHE}_HOME, XDG_RUNTIME_DIR
                       where everything is kept; stacks with different ones run side by side
`;
