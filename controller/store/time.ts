/** Times as the API shows them. */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';

/** A timestamptz as RFC 3339 in UTC with milliseconds; null and infinity are null. */
export function iso(time: SQL): SQL {
  return sql`case when isfinite(${time}) then to_char(${time} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end`;
}
