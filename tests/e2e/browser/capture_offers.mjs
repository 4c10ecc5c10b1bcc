// Writes the offers that a real browser makes: the files of tests/vectors/sdp, which seed the fuzz target too.
//
//   node capture_offers.mjs chromium|firefox DIRECTORY
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { browserNames, runPage } from './page_server.mjs';

const [browser, directory] = process.argv.slice(2);
if (!browserNames.includes(browser) || !directory) {
	console.error('usage: node capture_offers.mjs chromium|firefox DIRECTORY');
	process.exit(2);
}
const fault = await runPage(browser, 'offers.html', (path, body) => {
	const name = path.replace(/^\/offer\//, '').replace(/[^a-z0-9_]/g, '');
	writeFileSync(join(directory, `${browser}_${name}.sdp`), body);
	console.log(`${browser}_${name}.sdp`);
});
if (fault)
	console.error(fault);
process.exit(fault ? 1 : 0);
