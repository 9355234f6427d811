ALTER TABLE "placements" DROP CONSTRAINT "placements_state";--> statement-breakpoint
ALTER TABLE "placements" DROP CONSTRAINT "placements_wanted";--> statement-breakpoint
ALTER TABLE "placements" ADD COLUMN "oom_kills" integer;--> statement-breakpoint
ALTER TABLE "placements" ADD CONSTRAINT "placements_state" CHECK (state in ('placed', 'running', 'paused', 'stopping', 'stopped', 'failed', 'lost', 'removed'));--> statement-breakpoint
ALTER TABLE "placements" ADD CONSTRAINT "placements_wanted" CHECK (wanted in ('running', 'paused', 'stopped', 'removed'));