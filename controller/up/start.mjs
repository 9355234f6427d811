// `npm start`: sets up what is missing, then runs controller/up/main.ts on the Node 24 of the checkout with the same arguments.
// Written for old Nodes too, so that they get a sentence instead of a syntax error.
const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(`nsfleet needs Node 20 or newer to set itself up; this is ${process.version} (${process.execPath}).`);
  process.exit(1);
}
const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  const { helpText } = await import('./help.mjs');
  process.stdout.write(helpText);
  process.exit(0);
}
const { launch } = await import('./launch.mjs');
await launch('controller/up/main.ts', args);
