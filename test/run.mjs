// `npm test [-- word …]`: sets up what is missing, then runs test/suite.ts on the Node 24 of the checkout; `npm run test:<kind>` with --kind.
// `npm run bench [-- …]` comes here too, with --program test/bench/main.ts.
const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(`nsfleet needs Node 20 or newer to set itself up; this is ${process.version} (${process.execPath}).`);
  process.exit(1);
}
const { launch } = await import('../controller/up/launch.mjs');
const args = process.argv.slice(2);
const program = args[0] === '--program' ? args.splice(0, 2)[1] : 'test/suite.ts';
await launch(program, args);
