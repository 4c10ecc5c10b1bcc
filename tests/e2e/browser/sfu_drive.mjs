// Drives headless browsers that publish to and watch a room, each in a network namespace of its choice. Takes commands
// on standard input, one JSON array a line: [page, function, argument]; answers with one JSON line each: {ok} or {error}.
// Functions are those of sfu_page.js, and:
//   open    {netns, origin}  starts a Chromium in the namespace and opens a page there; origin: an https address whose
//                            pages may use the camera (any path of it will do)
//           {netns, browser: "firefox"}  a Firefox of its own with a page that watches, by plain HTTP
//   close                    ends it
//   screenshot FILE
// Commands of different pages run side by side; those of one page in order. The browsers end with standard input.
//
//   node sfu_drive.mjs [ARGUMENT-FOR-CHROMIUM]…
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const script = readFileSync(new URL('sfu_page.js', import.meta.url), 'utf8');
const scratch = mkdtempSync(join(tmpdir(), 'turnpike-drive.'));
const browsers = new Map(); // by namespace
const pages = new Map();
const firefoxes = []; // child processes
const queues = new Map();

// One browser for each namespace: Chromium itself is entered into it.
function browserIn(netns) {
	if (!browsers.has(netns)) {
		const wrapper = join(scratch, `chromium-${browsers.size}`);
		const program = process.env.CHROMIUM ?? '/usr/bin/chromium';
		writeFileSync(wrapper,
			`#!/bin/sh\nexec ${netns ? `nsenter --net=/run/netns/${netns} ` : ''}${program} "$@"\n`, { mode: 0o755 });
		browsers.set(netns, chromium.launch({
			executablePath: wrapper,
			args: [
				'--headless=new', '--no-sandbox', '--use-fake-ui-for-media-stream',
				'--use-fake-device-for-media-stream', '--autoplay-policy=no-user-gesture-required',
				'--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks',
				'--disable-background-networking', '--disable-component-update', '--disable-sync',
				'--disable-gpu', '--no-first-run', '--disable-renderer-backgrounding',
				'--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows',
				...process.argv.slice(2),
			],
		}));
	}
	return browsers.get(netns);
}

// What a page of Chromium offers, of a Firefox in the namespace.
async function openFirefox(netns) {
	const program = [process.execPath, new URL('firefox_page.mjs', import.meta.url).pathname];
	const [command, ...args] = netns ? ['nsenter', `--net=/run/netns/${netns}`, ...program] : program;
	const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
	const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const exited = new Promise((resolve) => child.once('exit', resolve));
	firefoxes.push(child);
	return {
		ask: async (verb, argument) => {
			child.stdin.write(`${JSON.stringify([verb, argument])}\n`);
			const { value, done } = await answers.next();
			const answer = done ? { error: 'firefox is gone' } : JSON.parse(value);
			if (answer.error)
				throw new Error(answer.error);
			return answer.ok;
		},
		close: () => {
			child.stdin.end();
			return exited;
		},
	};
}

async function open(name, { netns, origin, browser: kind }) {
	if (kind === 'firefox') {
		pages.set(name, await openFirefox(netns));
		return true;
	}
	const browser = await browserIn(netns);
	const context = await browser.newContext({ ignoreHTTPSErrors: true });
	const page = await context.newPage();
	await page.goto(origin, { waitUntil: 'domcontentloaded' });
	await page.evaluate(script);
	pages.set(name, page);
	return true;
}

async function run(name, verb, argument) {
	if (verb === 'open')
		return open(name, argument);
	const page = pages.get(name);
	if (!page)
		throw new Error(`no page ${name}`);
	if (page.ask)
		return verb === 'close' ? page.close() : page.ask(verb, argument);
	if (verb === 'close')
		return page.context().close();
	if (verb === 'screenshot')
		return page.screenshot({ path: argument }).then(() => argument);
	return page.evaluate(([v, a]) => window[v](a), [verb, argument]);
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
	const [name, verb, argument] = JSON.parse(line);
	const before = queues.get(name) ?? Promise.resolve();
	queues.set(name, before.then(() => run(name, verb, argument)).then(
		(ok) => console.log(JSON.stringify({ page: name, verb, ok: ok ?? null })),
		(e) => console.log(JSON.stringify({ page: name, verb, error: String(e.message ?? e).split('\n')[0] }))));
});
async function end() {
	for (const browser of browsers.values())
		await (await browser).close().catch(() => {});
	await Promise.all(firefoxes.map((child) => new Promise((resolve) => {
		if (child.exitCode !== null)
			return resolve();
		child.once('exit', resolve);
		child.stdin.end();
	})));
	rmSync(scratch, { recursive: true, force: true });
	process.exit(0);
}
input.on('close', () => Promise.allSettled([...queues.values()]).then(end));
process.on('SIGTERM', end);
process.on('SIGINT', end);
