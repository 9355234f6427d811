ALTER TABLE "placements" ADD COLUMN "lacks" jsonb;--> statement-breakpoint
ALTER TABLE "placements" ADD COLUMN "observed" jsonb;
