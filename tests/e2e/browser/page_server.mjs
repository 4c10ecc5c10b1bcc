// Opens a page of this folder in a headless browser and takes what the page posts. Loopback only.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const here = (name) => readFileSync(new URL(name, import.meta.url));
const wait = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));

// A fake camera that needs no permission, plain addresses in candidates, pages that may play sound, and nothing fetched.
export const firefoxPreferences = `
user_pref("media.navigator.permission.disabled", true);
user_pref("media.navigator.streams.fake", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("app.update.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("media.gmp-manager.updateEnabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("media.autoplay.default", 0);
`;

// The program and its arguments; both have a fake camera and microphone.
const browsers = {
	chromium: (profile, url) => [process.env.CHROMIUM ?? '/usr/bin/chromium', [
		'--headless=new', '--no-sandbox', '--use-fake-ui-for-media-stream',
		'--use-fake-device-for-media-stream',
		'--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks',
		'--disable-background-networking', '--disable-component-update', '--disable-sync',
		'--disable-gpu', '--no-first-run', `--user-data-dir=${profile}`, url]],
	firefox: (profile, url) => {
		writeFileSync(join(profile, 'user.js'), firefoxPreferences);
		return [process.env.FIREFOX ?? '/usr/bin/firefox-esr',
			['--headless', '--no-remote', '--profile', profile, url]];
	},
};
export const browserNames = Object.keys(browsers);

// The last process of a browser may outlive the signal by a moment, and still write.
async function removeProfile(profile) {
	for (let i = 0; ; i++) {
		try {
			rmSync(profile, { recursive: true, force: true });
			return;
		} catch (e) {
			if (e.code !== 'ENOTEMPTY' || i === 20)
				throw e;
			await wait(100);
		}
	}
}

// Calls onPost(path, body) for every post of the page until it says that it is done. What onPost returns,
// { status, body } or nothing, is the response. Returns undefined or what went wrong.
export async function runPage(browserName, page, onPost) {
	const profile = mkdtempSync(join(tmpdir(), 'turnpike-page.'));
	let finish;
	const finished = new Promise((resolve) => { finish = resolve; });
	const respond = (request, response, body) => {
		let answer;
		if (request.method === 'GET' && request.url === '/')
			answer = { type: 'text/html', body: here(page) };
		else if (request.method === 'GET' && request.url === '/offer_cases.mjs')
			answer = { type: 'text/javascript', body: here('offer_cases.mjs') };
		else if (request.url === '/done')
			finish();
		else if (request.url === '/failed')
			finish(body);
		else if (request.method === 'POST')
			answer = onPost(request.url, body);
		else
			answer = { status: 404 };
		response.writeHead(answer?.status ?? 200, { 'content-type': answer?.type ?? 'text/plain' });
		response.end(answer?.body ?? '');
	};
	const server = createServer((request, response) => {
		let body = '';
		request.on('data', (part) => { body += part; });
		request.on('end', () => respond(request, response, body));
	}).listen(0, '127.0.0.1');
	await new Promise((resolve) => server.once('listening', resolve));
	const [program, args] = browsers[browserName](profile, `http://localhost:${server.address().port}/`);
	// A group of its own: the browser's own children still write to the profile when it has ended.
	const browser = spawn(program, args, { stdio: 'ignore', detached: true });
	const killAll = () => {
		try {
			process.kill(-browser.pid, 'SIGKILL');
		} catch (e) {
			if (e.code !== 'ESRCH')
				throw e;
		}
	};
	for (const signal of ['SIGTERM', 'SIGINT'])
		process.once(signal, () => {
			killAll();
			process.exit(1);
		});
	const exited = new Promise((resolve) => browser.once('exit', resolve));
	const fault = await Promise.race([
		finished,
		wait(60000, `${browserName} did not finish within 60 s`),
		exited.then((code) => `${browserName} ended with status ${code}`),
	]);
	browser.kill('SIGTERM');
	await Promise.race([exited, wait(5000)]);
	killAll();
	server.close();
	server.closeAllConnections();
	await removeProfile(profile);
	return fault;
}
