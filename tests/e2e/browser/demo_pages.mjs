// Uses the demo pages as people do: publishes in one namespace, watches in another, meets in a room. Prints one line for
// each thing that holds and ends with an error at the first that does not.
//
//   node demo_pages.mjs DEMO_URL TOKEN PUBLISHER_NETNS WATCHER_NETNS PICTURES_DIR
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [demo, token, publisherNetns, watcherNetns, pictures] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'turnpike-demo.'));
const SECONDS = 1000;

// Chromium itself is entered into the namespace.
async function browserIn(netns) {
	const wrapper = join(scratch, `chromium-${netns}`);
	const program = process.env.CHROMIUM ?? '/usr/bin/chromium';
	writeFileSync(wrapper, `#!/bin/sh\nexec nsenter --net=/run/netns/${netns} ${program} "$@"\n`, { mode: 0o755 });
	return chromium.launch({
		executablePath: wrapper,
		args: [
			'--headless=new', '--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
			'--autoplay-policy=no-user-gesture-required',
			'--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks',
			'--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-gpu',
			'--no-first-run', '--disable-renderer-backgrounding', '--disable-background-timer-throttling',
			'--disable-backgrounding-occluded-windows',
		],
	});
}

async function open(browser, path, faults) {
	const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 860 } });
	const page = await context.newPage();
	page.on('pageerror', (e) => faults.push(`${path}: ${e.message}`));
	page.on('console', (m) => {
		// 409 while nobody publishes is part of the protocol.
		if (m.type() === 'error' && !m.text().includes('409'))
			faults.push(`${path}: ${m.text()}`);
	});
	await page.goto(`${demo}${path}#access_token=${token}`, { waitUntil: 'load' });
	return page;
}

// Polls in the page until it is true; what it was last goes into the error.
async function until(page, what, seconds, test, argument) {
	try {
		await page.waitForFunction(test, argument, { timeout: seconds * SECONDS, polling: 200 });
	} catch {
		const said = await page.evaluate(() => ({
			state: document.getElementById('state')?.textContent, error: document.getElementById('error')?.textContent,
			count: document.getElementById('count')?.textContent, tiles: document.querySelectorAll('.tile').length,
			stats: window.lastStats,
		})).catch((e) => String(e));
		await page.screenshot({ path: join(pictures, 'failed.png') }).catch(() => {});
		throw new Error(`not within ${seconds} s: ${what}: ${JSON.stringify(said)}`);
	}
	console.log(`ok - ${what}`);
}

const isConnected = () => document.getElementById('state').dataset.state === 'connected';

// Lets no UDP in or out of a namespace until it is called again.
function cut(netns, isCut) {
	execFileSync('nsenter', [`--net=/run/netns/${netns}`, 'nft', isCut
		? 'table inet cut { chain in { type filter hook input priority 0; meta l4proto udp drop; }; chain out { type filter hook output priority 0; meta l4proto udp drop; }; }'
		: 'delete table inet cut']);
}

async function breakAndRepair(watcher) {
	await watcher.evaluate(() => { window.kept = document.getElementById('picture').srcObject; });
	cut(watcherNetns, true);
	await until(watcher, 'without packets the page repairs the call', 30,
		() => document.getElementById('state').dataset.state === 'repairing');
	cut(watcherNetns, false);
	await until(watcher, 'the call is back after a restart of ICE', 30, isConnected);
	const before = await watcher.evaluate(() => window.lastStats.streams.find((s) => s.kind === 'video').frames);
	await until(watcher, 'the same session goes on', 15,
		(n) => document.getElementById('picture').srcObject === window.kept && window.lastStats.streams.find((s) => s.kind === 'video').frames > n + 15, before);
}

async function publishAndWatch(one, other, faults) {
	const watcher = await open(other, 'watch?room=show&start=1', faults);
	await until(watcher, 'the watcher waits for a publisher', 10,
		() => document.getElementById('state').dataset.state === 'waiting');
	const publisher = await open(one, 'publish?room=show&participant=alice&size=540&fps=15&start=1', faults);
	await until(publisher, 'the publisher is connected', 20, isConnected);
	await until(watcher, 'the watcher is connected', 20, isConnected);
	await until(watcher, 'the picture moves: 30 frames and more', 20, () => {
		const video = window.lastStats?.streams.find((s) => s.kind === 'video');
		return video?.frames > 30 && document.getElementById('picture').videoWidth > 0;
	});
	await until(watcher, 'the audio level moves', 10, () => document.getElementById('level').value > 0.2);
	await until(watcher, 'the numbers are shown', 5, () => {
		const shown = [...document.querySelectorAll('#stats dt')].map((x) => x.textContent);
		return ['bitrate', 'layer', 'codec', 'frames/s', 'freezes', 'jitter', 'round trip', 'path'].every((x) => shown.includes(x));
	});
	await until(publisher, 'three layers are sent', 20, () => {
		const layers = window.lastStats?.streams.filter((s) => s.kind === 'video' && s.kbps > 0) ?? [];
		return layers.length === 3 && ['q', 'h', 'f'].every((rid) => layers.some((s) => s.rid === rid));
	});
	await watcher.screenshot({ path: join(pictures, 'watch.png') });
	await publisher.screenshot({ path: join(pictures, 'publish.png') });
	await breakAndRepair(watcher);
	await publisher.click('#audio');
	await until(watcher, 'muted, the level falls', 10, () => document.getElementById('level').value < 0.1);
	await publisher.close({ runBeforeUnload: true });
	await publisher.context().close();
	await until(watcher, 'a page that is closed leaves the room', 10, async ([room, bearer]) => {
		const answer = await fetch(room, { headers: { Authorization: `Bearer ${bearer}` } });
		return (await answer.json()).count === 0;
	}, [new URL('/rooms/show', demo).href, token]);
	await watcher.click('#stop');
	await until(watcher, 'and the watcher stops', 5, () => document.getElementById('state').dataset.state === 'closed');
	await watcher.context().close();
}

const sees = (name) => [...document.querySelectorAll('.tile')].some((tile) =>
	tile.querySelector('span').textContent === name && tile.querySelector('video').videoWidth > 0 &&
	tile.querySelector('video').currentTime > 0.5);

async function meet(one, other, faults) {
	const ann = await open(one, 'room?room=meeting&participant=ann&source=test&size=360&fps=15&start=1', faults);
	const bob = await open(other, 'room?room=meeting&participant=bob&size=360&fps=15&start=1', faults);
	await until(ann, 'ann sees bob', 30, sees, 'bob');
	await until(bob, 'bob sees ann', 30, sees, 'ann');
	const carol = await open(other, 'room?room=meeting&participant=carol&source=test&size=360&fps=15&start=1', faults);
	await until(carol, 'carol, who comes later, sees ann', 30, sees, 'ann');
	await until(carol, 'and bob', 30, sees, 'bob');
	await until(ann, 'ann sees carol', 30, sees, 'carol');
	await until(ann, 'nobody sees themselves twice', 5, () => document.querySelectorAll('.tile').length === 3);
	await ann.screenshot({ path: join(pictures, 'room.png') });
	await bob.context().close();
	await until(ann, 'who leaves is no longer shown', 20, () => document.querySelectorAll('.tile').length === 2);
	await ann.context().close();
	await carol.context().close();
}

const faults = [];
const browsers = [];
try {
	for (const netns of [publisherNetns, watcherNetns])
		browsers.push(await browserIn(netns));
	await publishAndWatch(...browsers, faults);
	await meet(...browsers, faults);
	if (faults.length > 0)
		throw new Error(`the pages complain: ${faults.join('; ')}`);
	console.log('ok - no page complained');
} catch (e) {
	console.log(`FAILED: ${e.message}; complaints: ${faults.join('; ') || 'none'}`);
	process.exitCode = 1;
} finally {
	for (const browser of browsers)
		await browser.close().catch(() => {});
	rmSync(scratch, { recursive: true, force: true });
}
