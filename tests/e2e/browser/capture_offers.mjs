// Writes the offers that a real browser makes: the files of tests/vectors/sdp and seeds of the fuzz target.
//
//   node capture_offers.mjs chromium|firefox DIRECTORY
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [kind, directory] = process.argv.slice(2);
if (!['chromium', 'firefox'].includes(kind) || !directory) {
	console.error('usage: node capture_offers.mjs chromium|firefox DIRECTORY');
	process.exit(2);
}

const profile = mkdtempSync(join(tmpdir(), 'offers.'));
const page = readFileSync(new URL('offers.html', import.meta.url));
let finish;
const finished = new Promise((resolve) => { finish = resolve; });
const server = createServer((request, response) => {
	let body = '';
	request.on('data', (part) => { body += part; });
	request.on('end', () => {
		if (request.url.startsWith('/offer/')) {
			const name = request.url.slice('/offer/'.length).replace(/[^a-z0-9_]/g, '');
			writeFileSync(join(directory, `${kind}_${name}.sdp`), body);
			console.log(`${kind}_${name}.sdp`);
		}
		if (request.url === '/failed')
			finish(body);
		if (request.url === '/done')
			finish();
		response.writeHead(200, { 'content-type': 'text/html' });
		response.end(request.method === 'GET' && request.url === '/' ? page : '');
	});
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const url = `http://localhost:${server.address().port}/`;

const browsers = {
	chromium: () => [process.env.CHROMIUM ?? '/usr/bin/chromium', ['--headless=new', '--no-sandbox',
		'--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
		'--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks',
		'--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-gpu',
		'--no-first-run', `--user-data-dir=${profile}`, url]],
	firefox: () => {
		writeFileSync(join(profile, 'user.js'), `
			user_pref("media.navigator.permission.disabled", true);
			user_pref("media.navigator.streams.fake", true);
			user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
			user_pref("app.update.enabled", false);
			user_pref("datareporting.policy.dataSubmissionEnabled", false);
			user_pref("browser.shell.checkDefaultBrowser", false);
		`);
		return [process.env.FIREFOX ?? '/usr/bin/firefox-esr',
			['--headless', '--no-remote', '--profile', profile, url]];
	},
};
const [program, args] = browsers[kind]();
const browser = spawn(program, args, { stdio: 'ignore' });
const fault = await Promise.race([
	finished,
	new Promise((resolve) => setTimeout(resolve, 60000, 'no answer within 60 s')),
]);
browser.kill('SIGTERM');
await Promise.race([new Promise((r) => browser.once('exit', r)), new Promise((r) => setTimeout(r, 5000))]);
browser.kill('SIGKILL');
server.close();
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
if (fault)
	console.error(fault);
process.exit(fault ? 1 : 0);
