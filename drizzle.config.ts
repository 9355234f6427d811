/** `npx drizzle-kit generate --name <what>` writes the next migration from the schema; see controller/store/schema.ts. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: './controller/store/schema.ts',
  out: './migrations',
});
